// view_job.js: one job: what it is, what became of it, and what can be done with it.
import { call, caller, get, getFile, may, path, serverNow, signedIn } from './api.js';
import { act, ask } from './actions.js';
import { fill, h } from './dom.js';
import { bytes, duration, when } from './format.js';
import { badge, button, code, facts, fireTimes, problemBox, title, took } from './parts.js';

const PAGE = 50;
const OVER = ['succeeded', 'failed', 'cancelled', 'expired'];

export function job(root, query, id) {
	const at = (rest = '') => path`jobs/${id}` + rest;
	const head = h('div', {});
	const body = h('div', { class: 'job' });
	fill(root, head, body);
	fill(head, title('Job'));
	let pages = 1;
	let schedule = null;

	async function executions(signal) {
		let found = [];
		let next = null;
		for (let page = 0; page < pages && (page === 0 || next); page++) {
			const answer = await get(at('/executions'), { limit: PAGE, cursor: next }, signal);
			found = found.concat(answer.executions);
			next = answer.next_cursor;
		}
		return { found, next };
	}

	const view = {
		every: 2000,
		async load(signal) {
			const [one, runs] = await Promise.all([get(at(), null, signal), executions(signal)]);
			const live = !OVER.includes(one.status);
			const [why, plan] = await Promise.all([
				live ? get(at('/explain'), null, signal) : null,
				one.frequency === 'cron' && one.status !== 'cancelled' ? get(path`schedules/${id}`, { next: 5 }, signal) : null,
			]);
			schedule = plan;
			return { one, runs, why };
		},
		show({ one, runs, why }) {
			document.title = `${one.name} ${one.status} · jobsched`;
			fill(head, title(one.name, badge(one.status), h('div', { class: 'buttons' }, may('submitter') && actions(one, at, view))));
			fill(body,
				h('p', { class: 'line', key: 'id' }, h('code', { class: 'whole' }, one.id)),
				why && h('p', { class: 'why', key: 'why' }, why.reason),
				h('section', { class: 'panel', key: 'facts' }, h('h2', {}, 'What it is'), jobFacts(one, schedule),
					h('h3', {}, 'Payload'), code(one.payload)),
				h('section', { class: 'panel', key: 'runs' }, h('h2', {}, 'Runs and attempts'), timeline(one, runs.found),
					runs.next && button('Older attempts', () => { pages++; view.now(); })));
		},
		refuse: (problem) => fill(body, problemBox(problem)),
	};
	return view;
}

// ---- what can be done ----

function actions(one, at, view) {
	const is = (...statuses) => statuses.includes(one.status);
	const cron = one.frequency === 'cron';
	const go = (text, what, done, more = {}) => button(text, () => act(one.id, what, done, () => view.now()), { key: text, ...more });
	const post = (verb) => () => call('POST', at(`/${verb}`));
	const status = (answer) => `The job is ${answer.status}.`;
	return [
		cron && is('scheduled', 'paused', 'ended') && go('Run now', post('run'), 'A run is planned, due now.'),
		!cron && is('scheduled') && go('Run now', () => call('PATCH', at(), { next_run_time: serverNow() / 1000 }), 'It is due now.'),
		!cron && is('succeeded') && go('Run again', post('run'), 'One more run is planned, due now.'),
		!cron && is('failed', 'cancelled', 'expired') && go('Retry', post('retry'), 'It is tried anew, with all its retries.', { class: 'primary' }),
		is('scheduled', 'retrying') && go('Pause', post('pause'), status),
		is('paused') && go('Resume', post('resume'), status, { class: 'primary' }),
		is('scheduled', 'paused', 'queued', 'running', 'retrying', ...(cron ? ['ended'] : []))
			&& go('Cancel', () => cancel(one, at), (answer) => answer && status(answer), { class: 'danger' }),
	];
}

async function cancel(one, at) {
	// Only what cannot be undone with a press of "Retry" is asked about.
	const sure = one.frequency !== 'cron' && one.status !== 'running' || await ask({
		title: one.frequency === 'cron' ? 'End this schedule?' : 'Cancel this job?', danger: true, no: 'Leave it', yes: one.frequency === 'cron' ? 'End it' : 'Cancel it',
		body: h('p', {}, one.frequency === 'cron' ? `${one.cron}: no further runs; one under way is told to stop.` : 'Its task runs and is told to stop; what it has done stays done.'),
	});
	return sure ? call('DELETE', at()) : null;
}

// ---- what it is ----

const jobFacts = (one, schedule) => facts([
	['Queue', h('a', { href: `#/jobs?${new URLSearchParams({ queue: one.queue })}` }, one.queue)],
	['Priority', String(one.priority)],
	['Submitted', when(one.created_at)],
	['Next run', one.next_run_at && when(one.next_run_at)],
	['Schedule', schedule?.schedule_name && h('a', { href: '#/schedules' }, schedule.schedule_name)],
	['Cron', one.cron && h('code', {}, one.cron)],
	['In words', schedule?.description],
	['Time zone', one.time_zone],
	['Next times', schedule?.next?.length > 0 && fireTimes(schedule.next)],
	['Retries', `up to ${one.max_retries}`],
	['Timeout', one.timeout === null ? 'none' : duration(one.timeout)],
	['Unique key', one.unique_key && h('code', {}, one.unique_key)],
]);

// ---- what became of it ----

function timeline(one, executions) {
	if (executions.length === 0)
		return h('p', { class: 'empty' }, 'Nothing yet.');
	return h('ol', { class: 'timeline' }, executions.map((run) => attempt(one, run)));
}

function attempt(one, run) {
	const running = run.status === 'running';
	const open = run.finished_at === null && run.status !== 'running';
	const waited = run.attempt === 1 && run.started_at && run.run_at ? took(later(run.run_at, one.created_at), run.started_at) : null;
	return h('li', { class: `is-${run.status}`, key: `${run.run_at} ${run.attempt} ${run.finished_at ? 'ended' : 'open'}` },
		h('div', { class: 'line' }, badge(run.status), h('strong', {}, `Attempt ${run.attempt}`),
			run.status === 'failed' && !run.final && h('span', { class: 'muted' }, 'to be tried again'),
			run.reason && run.reason !== 'error' && h('span', { class: 'muted' }, run.reason)),
		h('div', { class: 'muted line' },
			open && run.due_at && h('span', {}, 'due ', when(run.due_at)),
			run.started_at && h('span', {}, 'started ', when(run.started_at, { relative: !running })),
			!run.started_at && run.finished_at && h('span', {}, 'ended ', when(run.finished_at)),
			run.started_at && run.finished_at && h('span', {}, `took ${took(run.started_at, run.finished_at)}`),
			running && run.started_at && h('span', {}, `for ${took(run.started_at, new Date(serverNow()).toISOString())}`),
			waited && h('span', {}, `${waited} after it was due`),
			one.frequency === 'cron' && !open && h('span', {}, 'run of ', when(run.run_at, { relative: false })),
			run.worker_id && h('span', {}, 'on ', h('code', {}, run.worker_id))),
		run.progress && progress(run.progress),
		run.error && h('pre', { class: 'error', tabindex: 0 }, run.error),
		run.result_payload !== null && run.result_payload !== undefined
			&& h('details', { open: JSON.stringify(run.result_payload).length < 300 }, h('summary', {}, 'Result'), code(run.result_payload)),
		run.omitted?.length > 0 && h('p', { class: 'hint' }, 'Its result has more than 64 kB and is not shown here.'),
		run.artifacts?.length > 0 && h('ul', { class: 'artifacts', 'aria-label': 'Artifacts' }, run.artifacts.map((artifact) => artifactLink(one, run, artifact))));
}

const later = (a, b) => (new Date(a) > new Date(b) ? a : b);

const progress = ({ percent, message }) => h('div', { class: 'progress' },
	percent !== null && h('progress', { max: 100, value: percent, 'aria-label': 'Progress' }),
	h('span', {}, percent !== null && `${Math.round(percent)} % `, message));

// Without tokens the browser fetches it; with them it is fetched here, because a link carries no token.
function artifactLink(one, run, artifact) {
	const href = path`jobs/${one.id}/artifacts/${artifact.name}?run_at=${run.run_at}&attempt=${run.attempt}`;
	const more = `${artifact.content_type ? `${artifact.content_type}, ` : ''}${bytes(artifact.size)}`;
	const link = h('a', { href, download: artifact.name }, artifact.name);
	if (caller.tokens && signedIn()) {
		link.onclick = link.handlers.onclick = (event) => {
			event.preventDefault();
			act(href, () => getFile(`${href}&redirect=false`), null, (file) => save(file, artifact.name));
		};
	}
	return h('li', { key: artifact.name }, link, h('span', { class: 'muted' }, ` ${more}`));
}

function save({ blob, url }, name) {
	const href = blob ? URL.createObjectURL(blob) : url;
	h('a', { href, download: name, rel: 'noreferrer' }).click();
	if (blob)
		setTimeout(() => URL.revokeObjectURL(href), 60000);
}
