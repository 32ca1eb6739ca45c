// forms.js: reading forms, and saying at the field what is wrong with it.
import { get } from './api.js';
import { fill, h } from './dom.js';
import { field, fireTimes, select } from './parts.js';

// A value of a form that cannot be sent: looks like the server's problem of the same field.
class Invalid extends Error {
	constructor(name, text) {
		super(text);
		this.field = name;
		this.hint = null;
	}
}

export const number = (name, label, more = {}, hint = null) => field(label, h('input', { name, type: 'number', step: 'any', inputmode: 'decimal', autocomplete: 'off', ...more }), hint);
export const text = (name, label, more = {}, hint = null) => field(label, h('input', { name, autocomplete: 'off', spellcheck: 'false', ...more }), hint);
export const choice = (name, label, options, chosen, hint = null) => field(label, select(name, options, chosen), hint);
export const payload = (value) => field('Payload (JSON)', h('textarea', { name: 'payload', rows: 5, spellcheck: 'false', autocomplete: 'off' }, value), null, { class: 'broad' });

// values(form): what is filled in, by name: numbers as numbers, JSON read, local times with their offset
function values(form) {
	const all = {};
	for (const input of form.elements) {
		if (!input.name || input.closest('[hidden]') || input.value.trim() === '' || (input.type === 'radio' && !input.checked))
			continue;
		all[input.name] = input.name === 'payload' ? readJson(input.value) : input.type === 'number' ? Number(input.value)
			: input.type === 'datetime-local' ? new Date(input.value).toISOString() : input.value;
	}
	return all;
}

function readJson(source) {
	let value;
	try {
		value = JSON.parse(source);
	} catch (error) {
		throw new Invalid('payload', `This is not JSON: ${error.message}`);
	}
	if (typeof value === 'number' || typeof value === 'boolean' || value === null)
		throw new Invalid('payload', 'The payload may be an object, an array or a string.');
	return value;
}

// localInput(date): the value of a datetime-local field
export const localInput = (date) => new Date(date - date.getTimezoneOffset() * 60000).toISOString().slice(0, 19);

function clearProblems(form) {
	for (const input of form.querySelectorAll('[aria-invalid]')) {
		input.removeAttribute('aria-invalid');
		input.removeAttribute('aria-errormessage');
	}
	for (const note of form.querySelectorAll('.wrong'))
		note.remove();
}

// showProblem(form, problem): at its field, where there is one, else at the end of the form
export function showProblem(form, problem) {
	const input = problem.field && form.elements[problem.field.split(/[.[]/)[0]];
	const note = h('p', { class: 'wrong', role: 'alert', id: 'wrong' }, problem.message, problem.hint && ` ${problem.hint}`);
	if (input?.closest?.('.field')) {
		input.closest('details')?.setAttribute('open', '');
		input.setAttribute('aria-invalid', 'true');
		input.setAttribute('aria-errormessage', 'wrong');
		input.closest('.field').append(note);
		input.focus();
	} else {
		form.append(note);
	}
}

// whenSent(form, send): calls send(values) at most once at a time, and shows what is wrong
export function whenSent(form, send) {
	let busy = false;
	form.noValidate = true;
	form.addEventListener('submit', async (event) => {
		event.preventDefault();
		if (busy)
			return;
		busy = true;
		form.setAttribute('aria-busy', 'true');
		clearProblems(form);
		try {
			await send(values(form));
		} catch (problem) {
			if (problem.status === undefined && !(problem instanceof Invalid))
				throw problem; // ours
			showProblem(form, problem);
		} finally {
			busy = false;
			form.removeAttribute('aria-busy');
		}
	});
}

// cronFields({cron, time_zone}) -> nodes: expression and zone, and below them what they mean, as one types
export function cronFields(given = {}) {
	const cron = h('input', { name: 'cron', value: given.cron, autocomplete: 'off', spellcheck: 'false', placeholder: '30 6 * * mon-fri' });
	const zone = h('input', { name: 'time_zone', value: given.time_zone, autocomplete: 'off', spellcheck: 'false', list: 'zones', placeholder: 'of the server' });
	const zones = h('datalist', { id: 'zones' }, (Intl.supportedValuesOf?.('timeZone') ?? []).map((name) => h('option', { value: name })));
	const preview = h('div', { class: 'preview broad', role: 'status', 'aria-label': 'What the expression means' });
	let timer = null;
	let asking = null;
	const look = async () => {
		asking?.abort();
		if (cron.value.trim() === '') {
			fill(preview, h('p', { class: 'hint' }, 'Minute, hour, day, month, weekday; the next times appear here.'));
			return;
		}
		asking = new AbortController();
		try {
			const answer = await get('cron/next', { expr: cron.value, time_zone: zone.value.trim(), n: 5 }, asking.signal);
			fill(preview, h('p', { class: 'words' }, answer.description, ` (${answer.time_zone})`),
				answer.times.length > 0 ? fireTimes(answer.times) : h('p', {}, 'It never fires.'));
		} catch (problem) {
			if (problem.name === 'AbortError')
				return;
			fill(preview, h('p', { class: 'wrong' }, problem.message, problem.hint && ` ${problem.hint}`));
		}
	};
	const soon = () => {
		clearTimeout(timer);
		timer = setTimeout(look, 250);
	};
	cron.addEventListener('input', soon);
	zone.addEventListener('input', soon);
	look();
	return [field('Cron expression', cron), field('Time zone', zone), zones, preview];
}

// taskNames(): datalist of the tasks that workers have run lately
export function taskNames() {
	const list = h('datalist', { id: 'tasks' });
	const names = new Set(['echo', 'sleep', 'fail', 'crawl_url', 'http_request']);
	const show = () => fill(list, [...names].sort().map((name) => h('option', { value: name })));
	show();
	get('workers', { state: 'live' }).then((answer) => {
		for (const worker of answer.workers)
			Object.keys(worker.load.means ?? {}).forEach((name) => names.add(name));
		show();
	}).catch(() => {}); // they are only suggestions
	return list;
}
