// view_overview.js: how it goes now, and in the last hour.
import { get } from './api.js';
import { chart } from './chart.js';
import { fill, h } from './dom.js';
import { count, duration, plural, when } from './format.js';
import { badge, problemBox, table, title } from './parts.js';

const HISTORY = 15000; // milliseconds between looks at the last hour, which cost more than the counts
const FAILURES = 6000;

export function overview(root) {
	const rates = chart({
		title: 'Attempts ended, by the minute', kind: 'bars', format: (n) => count(Math.round(n)),
		series: [
			{ name: 'succeeded', colour: '--succeeded', of: (minute) => minute.succeeded },
			{ name: 'failed', colour: '--failed', of: (minute) => minute.failed },
			{ name: 'retried', colour: '--retrying', of: (minute) => minute.retried },
			{ name: 'lost', colour: '--lost', of: (minute) => minute.lost },
			{ name: 'cancelled or expired', colour: '--cancelled', of: (minute) => minute.cancelled + minute.expired },
		],
	});
	const times = (heading, what, tone) => chart({
		title: heading, kind: 'lines', format: duration,
		series: [
			{ name: 'half within', colour: tone, of: (minute) => minute[`${what}_p50`] },
			{ name: '95 % within', colour: '--retrying', dashed: true, of: (minute) => minute[`${what}_p95`] },
		],
	});
	const charts = [rates, times('From due to started', 'start_latency', '--running'), times('Duration of attempts', 'duration', '--queued')];
	const state = h('div', { key: 'state' });
	const tiles = h('ul', { class: 'tiles', 'aria-label': 'Runs now' });
	const sampled = h('p', { class: 'hint' });
	const failures = h('div', {});
	fill(root, title('Overview'), state, tiles, h('div', { class: 'charts' }, charts.map((one) => one.node)), sampled,
		h('section', { class: 'panel' }, h('h2', {}, 'Failed jobs, newest first'), failures));
	const kept = { history: 0, failures: 0 };

	return {
		every: 2000,
		async load(signal) {
			const now = Date.now();
			const old = (what, age) => now - kept[what] >= age;
			const [stats, history, failed] = await Promise.all([
				get('stats', { tables: false }, signal),
				old('history', HISTORY) ? get('stats/history', null, signal) : null,
				old('failures', FAILURES) ? get('jobs', { status: 'failed', limit: 6 }, signal) : null,
			]);
			if (history)
				kept.history = now;
			if (failed)
				kept.failures = now;
			return { stats, history, failed };
		},
		show({ stats, history, failed }) {
			fill(state, troubles(stats));
			fill(tiles, counts(stats));
			if (history) {
				for (const one of charts)
					one.show(history.minutes);
				fill(sampled, history.sampled < 1 && `The charts are made from an even sample, ${(history.sampled * 100).toPrecision(2)} % of what has ended.`);
			}
			if (failed)
				fill(failures, failedJobs(failed.jobs));
		},
		refuse: (problem) => fill(state, problemBox(problem)),
		close: () => charts.forEach((one) => one.close()),
	};
}

function counts({ counts: now, count_limit: limit, failed_kept: failed, oldest_due_seconds: oldest, workers }) {
	const tile = (name, n, tone, note, href) => h('li', { key: name, class: `tile of${tone}` },
		h(href ? 'a' : 'div', { href }, h('span', { class: 'name' }, name), h('span', { class: 'value' }, count(n, limit)), h('span', { class: 'note' }, note)));
	return [
		tile('Due', now.due, '--due', oldest === null ? 'nothing waits' : `oldest for ${duration(oldest)}`, '#/queues'),
		tile('Queued', now.queued, '--queued', 'handed out', '#/jobs?status=queued'),
		tile('Running', now.running, '--running', `of ${plural(workers.slots, 'slot')}`, '#/jobs?status=running'),
		tile('Retrying', now.retrying, '--retrying', 'to be tried again', '#/jobs?status=retrying'),
		tile('Failed', failed, '--failed', 'as far as kept', '#/jobs?status=failed'),
		tile('Scheduled', now.scheduled, '--scheduled', now.paused > 0 ? `${count(now.paused, limit)} held back` : 'not due yet', '#/jobs?status=scheduled'),
	];
}

// What somebody should look at.
function troubles({ ready, queues, workers, schedulers }) {
	const list = [];
	if (ready.adopted === false)
		list.push('This database is a copy that nobody has adopted: nothing runs before jobsched.adopt() is called.');
	else if (!ready.ready)
		list.push(`Scheduler: ${ready.scheduler}.`);
	for (const broker of new Set(schedulers.map((one) => one.broker).filter((text) => text && !/^connected/.test(text))))
		list.push(`Broker: ${broker}.`);
	if (workers.live === 0)
		list.push('No worker is live: nothing runs.');
	const notes = [];
	if (workers.silent > 0)
		notes.push(h('a', { href: '#/workers' }, `${plural(workers.silent, 'worker')} silent`));
	if (queues.paused > 0)
		notes.push(h('a', { href: '#/queues' }, `${plural(queues.paused, 'queue')} paused`));
	return [
		list.length > 0 && h('div', { class: 'problem', key: 'problem' }, list.map((text) => h('p', { key: text }, text))),
		h('p', { class: 'line', key: 'line' }, badge(list.length > 0 ? 'trouble' : 'ready'),
			h('span', {}, ` ${plural(workers.live, 'live worker')}, ${plural(queues.all, 'queue')}`), notes.map((note) => [', ', note])),
	];
}

const failedJobs = (jobs) => table({
	caption: 'Failed jobs, newest first', rows: jobs, key: (job) => job.id, empty: 'None has failed, as far as jobs are kept.',
	columns: [
		{ title: 'Task', lead: true, cell: (job) => h('a', { href: `#/jobs/${job.id}` }, job.name) },
		{ title: 'Error', class: 'wide', cell: (job) => job.last_execution?.error ?? job.last_execution?.reason ?? '–' },
		{ title: 'Attempts', class: 'number', cell: (job) => job.last_execution?.attempt ?? '–' },
		{ title: 'When', class: 'time', cell: (job) => when(job.last_execution?.finished_at) },
	],
});
