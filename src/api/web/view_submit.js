// view_submit.js: the form that submits a job.
import { call, serverNow } from './api.js';
import { tell } from './actions.js';
import { fill, h } from './dom.js';
import { cronFields, localInput, number, payload, taskNames, text, whenSent } from './forms.js';
import { field, title } from './parts.js';
import { go } from './route.js';

export function submit(root) {
	const radio = (value, label, checked) => h('label', { class: 'radio' }, h('input', { type: 'radio', name: 'when', value, checked }), label);
	const at = h('div', { class: 'group', hidden: true }, field('At (local time)', h('input', { name: 'at', type: 'datetime-local', step: 1, value: localInput(new Date(Date.now() + 3600000)) })));
	const cron = h('div', { class: 'group', hidden: true }, cronFields());
	const form = h('form', { class: 'panel form', 'aria-label': 'New job' },
		text('name', 'Task', { list: 'tasks', required: true }), taskNames(),
		text('queue', 'Queue', { placeholder: 'the default' }),
		payload('{}'),
		h('fieldset', { class: 'broad' }, h('legend', {}, 'When'), radio('now', 'now', true), radio('at', 'at a time'), radio('cron', 'again and again')),
		at, cron,
		h('details', { class: 'broad' }, h('summary', {}, 'More'), h('div', { class: 'group' },
			number('priority', 'Priority', { min: 0, max: 9, step: 1, placeholder: '0' }, '0 to 9; 9 goes first.'),
			number('max_retries', 'Retries', { min: 0, max: 1000, step: 1, placeholder: '3' }),
			number('timeout', 'Timeout (seconds)', { min: 0, placeholder: 'none' }),
			text('unique_key', 'Unique key', {}, 'The same key gives the same job.'))),
		h('div', { class: 'buttons broad' }, h('button', { type: 'submit', class: 'primary' }, 'Submit')));
	form.addEventListener('change', () => {
		at.hidden = form.elements.when.value !== 'at';
		cron.hidden = form.elements.when.value !== 'cron';
	});
	whenSent(form, async ({ when, at: time, ...body }) => {
		const once = when !== 'cron';
		const job = await call('POST', 'jobs', { ...body, frequency: once ? 'once' : 'cron', ...(once ? { next_run_time: when === 'at' ? time : serverNow() / 1000 } : {}) });
		tell(`Job ${job.id} is ${job.status}.`);
		go(`/jobs/${job.id}`);
	});
	fill(root, title('New job'), form);
	return {};
}
