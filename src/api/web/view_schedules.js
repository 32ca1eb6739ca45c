// view_schedules.js: cron jobs, when they fire next, and what can be done with them.
import { call, get, may, path } from './api.js';
import { act, ask } from './actions.js';
import { fill, h } from './dom.js';
import { when } from './format.js';
import { badge, button, field, fireTimes, problemBox, table, title } from './parts.js';
import { go } from './route.js';

export function schedules(root, query) {
	const q = query.get('q') ?? '';
	const cursor = query.get('cursor');
	const list = h('div', {});
	const pages = h('nav', { class: 'pages', 'aria-label': 'Pages' });
	const search = h('form', { class: 'filters', role: 'search', 'aria-label': 'Filter of schedules' },
		field('Search', h('input', { name: 'q', type: 'search', value: q, autocomplete: 'off', placeholder: 'schedule or task begins with' })),
		h('div', { class: 'field' }, h('button', { type: 'submit', class: 'primary' }, 'Filter'), q && h('a', { class: 'button quiet', href: '#/schedules' }, 'Reset')));
	search.addEventListener('submit', (event) => {
		event.preventDefault();
		go('/schedules', search.elements.q.value ? { q: search.elements.q.value } : {});
	});
	fill(root, title('Schedules', h('div', { class: 'buttons' }, may('submitter') && h('a', { class: 'button primary', href: '#/schedule' }, 'New schedule'))), search, list, pages);
	const view = {
		every: 2000,
		load: (signal) => get('schedules', { q, cursor, next: 5, limit: 50 }, signal),
		show(answer) {
			const to = (where) => `#/schedules?${new URLSearchParams({ ...(q ? { q } : {}), ...(where ? { cursor: where } : {}) })}`;
			fill(list, scheduleTable(answer.schedules, view, answer.next_cursor));
			fill(pages, cursor && h('a', { key: 'first', class: 'button', href: to(null) }, 'Newest'),
				answer.next_cursor && h('a', { key: 'next', class: 'button', href: to(answer.next_cursor), rel: 'next' }, 'Older'));
		},
		refuse: (problem) => fill(list, problemBox(problem)),
	};
	return view;
}

const scheduleTable = (rows, view, more) => table({
	caption: 'Schedules, newest first', rows, key: (one) => one.id, empty: more ? 'None on this page; go on to older ones.' : 'There is no schedule like that.',
	columns: [
		{ title: 'State', lead: true, cell: (one) => badge(one.status) },
		{ title: 'Schedule', class: 'wide', lead: true, cell: (one) => [h('a', { href: `#/jobs/${one.id}` }, one.schedule_name ?? 'without a name'),
			h('span', { class: 'id' }, `${one.name} in ${one.queue}`)] },
		{ title: 'When', class: 'wide', cell: (one) => [h('code', { class: 'cron' }, one.cron), h('span', { class: 'words' }, one.description), h('span', { class: 'muted' }, one.time_zone)] },
		{ title: 'Next times', class: 'time', cell: nextTimes },
		{ title: 'Last run', cell: last },
		may('submitter') && { title: 'Actions', quiet: true, class: 'actions', cell: (one) => buttons(one, view) },
	].filter(Boolean),
});

const nextTimes = (one) => {
	if (one.status === 'paused')
		return h('span', { class: 'muted' }, 'pass without running');
	return one.next?.length > 0 ? fireTimes(one.next) : h('span', { class: 'muted' }, 'none');
};

const last = ({ last_execution: end }) => (end === null ? h('span', { class: 'none' }, '–')
	: [badge(end.status), h('div', { class: 'muted' }, when(end.finished_at)), end.error && h('span', { class: 'error', title: end.error }, end.error)]);

function buttons(one, view) {
	const name = one.schedule_name ?? one.id;
	const at = (verb) => path`schedules/${one.id}` + verb;
	const does = (text, what, done) => button(text, () => act(one.id, what, done, () => view.now()), { key: text, 'aria-label': `${text}: ${name}` });
	const post = (verb) => () => call('POST', at(`/${verb}`));
	return h('div', { class: 'buttons' },
		does('Run now', post('run'), `A run of ${name} is planned, due now.`),
		one.status === 'paused' ? does('Resume', post('resume'), `${name} goes on.`) : one.status === 'scheduled' && does('Pause', post('pause'), `${name} is paused.`),
		one.schedule_name && h('a', { key: 'edit', class: 'button', href: `#/schedule?${new URLSearchParams({ id: one.id })}`, 'aria-label': `Edit: ${name}` }, 'Edit'),
		does('Delete', () => remove(one, name, at('')), (answer) => answer && `${name} is deleted.`));
}

async function remove(one, name, at) {
	const sure = await ask({
		title: `Delete ${name}?`, yes: 'Delete it', no: 'Leave it', danger: true,
		body: h('p', {}, `${one.cron}, ${one.description}: no further runs. One under way is told to stop.`),
	});
	return sure ? call('DELETE', at) : null;
}
