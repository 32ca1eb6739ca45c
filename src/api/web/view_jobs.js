// view_jobs.js: the list of jobs, filters, and many at once.
import { call, get, may, serverNow } from './api.js';
import { act, ask, tell } from './actions.js';
import { fill, h } from './dom.js';
import { plural, shortId, when } from './format.js';
import { badge, button, field, problemBox, select, table, title } from './parts.js';
import { go } from './route.js';

const PAGE = 50;
const CALLS = 4; // one call looks at so many jobs and no more: a page of something rare takes several
const STATUSES = ['scheduled', 'queued', 'running', 'retrying', 'paused', 'cancelling', 'succeeded', 'failed', 'cancelled', 'expired', 'ended'];
const BULK = ['name', 'queue', 'status', 'created_after', 'created_before']; // filters that the bulk calls know
const RARE = ['name', 'queue', 'created_after', 'created_before'];
const MOST = 10000; // jobs that one bulk call changes
const COUNTED = 100000; // and counts

// The ways back, which keyset cursors do not tell.
const before = new Map();

export function jobs(root, query) {
	const filters = Object.fromEntries([...query].filter(([name, value]) => value && name !== 'cursor'));
	const cursor = query.get('cursor');
	const list = h('div', { 'aria-busy': 'true' });
	const pages = h('nav', { class: 'pages', 'aria-label': 'Pages' });
	const bulk = h('div', { class: 'buttons' });
	let every = 2000;

	const form = filterForm(filters, (wanted) => go('/jobs', wanted));
	fill(root, title('Jobs', bulk), form, list, pages);
	fill(bulk, bulkButtons(filters));

	return {
		get every() { return every; },
		async load(signal) {
			let next = cursor;
			let found = [];
			let calls = 0;
			do {
				const answer = await get('jobs', { ...times(filters), limit: PAGE, cursor: next }, signal);
				found = found.concat(answer.jobs);
				next = answer.next_cursor;
			} while (next && found.length < PAGE && ++calls < CALLS);
			every = calls > 0 ? 10000 : 2000;
			return { found, next };
		},
		show({ found, next }) {
			list.removeAttribute('aria-busy');
			fill(list, jobTable(found, next ? 'None among the jobs looked at so far; go on to older ones.' : 'No job is like that.'));
			fill(pages, pageLinks(filters, cursor, next));
		},
		refuse(problem) {
			fill(list, problemBox(problem));
			fill(pages);
		},
	};
}

function filterForm(filters, apply) {
	const input = (name, more = {}) => h('input', { name, value: filters[name], autocomplete: 'off', spellcheck: 'false', ...more });
	const more = button('More filters', () => form.classList.add('all'), { class: 'quiet more' }); // on narrow screens
	const form = h('form', { class: 'filters', role: 'search', 'aria-label': 'Filters of jobs' },
		field('Status', select('status', [['', 'any'], ...STATUSES.map((status) => [status])], filters.status ?? '')),
		field('Search', input('q', { type: 'search', placeholder: 'task or id begins with' })),
		field('Task', input('name', { placeholder: 'exactly' }), null, { class: 'rare' }),
		field('Queue', input('queue', { placeholder: 'exactly' }), null, { class: 'rare' }),
		field('Submitted from', input('created_after', { type: 'datetime-local', step: 1 }), null, { class: 'rare' }),
		field('until', input('created_before', { type: 'datetime-local', step: 1 }), null, { class: 'rare' }),
		h('div', { class: 'field' }, h('button', { type: 'submit', class: 'primary' }, 'Filter'), h('a', { class: 'button quiet', href: '#/jobs' }, 'Reset'), more));
	if (Object.keys(filters).some((name) => RARE.includes(name)))
		form.classList.add('all');
	const send = () => apply(Object.fromEntries([...new FormData(form)].filter(([, value]) => value !== '')));
	form.addEventListener('submit', (event) => {
		event.preventDefault();
		send();
	});
	form.elements.status.addEventListener('change', send);
	return form;
}

// The form's times are on the local clock, REST's are not.
function times(filters) {
	const all = { ...filters };
	for (const name of ['created_after', 'created_before']) {
		if (all[name] && !Number.isNaN(Date.parse(all[name])))
			all[name] = new Date(all[name]).toISOString();
	}
	return all;
}

const jobTable = (rows, empty) => table({
	caption: 'Jobs, newest first', rows, key: (job) => job.id, empty,
	columns: [
		{ title: 'Status', lead: true, cell: (job) => badge(job.status) },
		{ title: 'Task', class: 'wide', lead: true, cell: (job) => [h('a', { href: `#/jobs/${job.id}` }, job.name), h('span', { class: 'id', title: job.id }, shortId(job.id))] },
		{ title: 'Queue', cell: (job) => job.queue },
		{ title: 'Priority', class: 'number', minor: true, cell: (job) => job.priority },
		{ title: 'Submitted', class: 'time', cell: (job) => when(job.created_at) },
		{ title: 'Next run', class: 'time', cell: (job) => (job.cron ? [when(job.next_run_at), h('code', { class: 'cron' }, job.cron)] : when(job.next_run_at)) },
		{ title: 'Last attempt', cell: (job) => lastAttempt(job.last_execution) },
	],
});

const lastAttempt = (last) => (last === null ? h('span', { class: 'none' }, '–') : h('div', { class: 'last' },
	h('span', {}, `${last.attempt}: ${last.status}`), last.error && h('span', { class: 'error', title: last.error }, last.error)));

function pageLinks(filters, cursor, next) {
	const to = (where) => `#/jobs?${new URLSearchParams({ ...filters, ...(where ? { cursor: where } : {}) })}`;
	if (next)
		before.set(next, cursor);
	return [
		cursor && h('a', { key: 'newest', class: 'button', href: to(null) }, 'Newest'),
		cursor && before.has(cursor) && h('a', { key: 'newer', class: 'button', href: to(before.get(cursor)), rel: 'prev' }, 'Newer'),
		next && h('a', { key: 'older', class: 'button', href: to(next), rel: 'next' }, 'Older'),
	];
}

// ---- many at once ----

function bulkButtons(filters) {
	if (!may('admin'))
		return [];
	const names = Object.keys(filters);
	const strange = names.find((name) => !BULK.includes(name));
	const why = strange ? `Without the filter "${strange === 'q' ? 'Search' : strange}": these calls do not know it.`
		: names.length === 0 ? 'Set a filter first: they act on all jobs that match.' : null;
	const one = (text, verb, done) => button(text, () => !why && act('bulk', () => manyAtOnce(verb, text, done, times(filters))),
		{ class: why ? 'off' : null, 'aria-disabled': why ? 'true' : null, title: why });
	return [one('Cancel all…', 'cancel', 'cancelled'), one('Retry all…', 'retry', 'to be tried anew')];
}

async function manyAtOnce(verb, text, done, filters) {
	// What is submitted from now on is not meant, however long this takes.
	const body = { created_before: new Date(serverNow()).toISOString(), ...filters };
	const { jobs: n } = await call('POST', `jobs/${verb}`, { ...body, limit: COUNTED, dry_run: true });
	const many = plural(n, 'job');
	if (n === 0) {
		tell(`No job that matches can be ${verb === 'cancel' ? 'cancelled' : 'tried anew'}.`);
		return;
	}
	const what = Object.entries(filters).map(([name, value]) => h('li', {}, `${name.replace('_', ' ')}: `, h('b', {}, value)));
	if (!await ask({
		title: `${verb === 'cancel' ? 'Cancel' : 'Retry'} ${many}?`, yes: `${verb === 'cancel' ? 'Cancel' : 'Retry'} ${many}`, danger: verb === 'cancel', no: 'Leave them',
		body: [h('p', {}, verb === 'cancel' ? 'Once jobs that have not ended and match all of these. Running tasks are told to stop.'
			: 'Failed, cancelled and expired jobs that match all of these are tried anew, with all their retries.'), h('ul', {}, what)],
	}))
		return;
	// No more than were counted: what is tried anew may fail again at once, and be found again for ever.
	let all = 0;
	let last;
	do {
		last = (await call('POST', `jobs/${verb}`, { ...body, limit: Math.min(MOST, n - all) })).jobs;
		all += last;
	} while (last > 0 && all < n);
	tell(`${plural(all, 'job')} ${done}${n >= COUNTED ? '; there may be more' : ''}.`);
}
