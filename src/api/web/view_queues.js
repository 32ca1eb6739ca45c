// view_queues.js: where jobs wait.
import { call, get, may, path } from './api.js';
import { act } from './actions.js';
import { fill, h } from './dom.js';
import { count, duration, when } from './format.js';
import { badge, button, problemBox, table, title } from './parts.js';

export function queues(root) {
	const list = h('div', {});
	fill(root, title('Queues'), list);
	const view = {
		every: 2000,
		async load(signal) {
			let all = [];
			let next = null;
			do {
				const answer = await get('queues', { limit: 200, cursor: next }, signal);
				all = all.concat(answer.queues);
				next = answer.next_cursor;
			} while (next && all.length < 1000);
			return all;
		},
		show: (all) => fill(list, queueTable(all, view)),
		refuse: (problem) => fill(list, problemBox(problem)),
	};
	return view;
}

function queueTable(rows, view) {
	const number = (heading, of) => ({ title: heading, class: 'number', cell: (queue) => count(of(queue), queue.count_limit) });
	return table({
		caption: 'Queues', rows, key: (queue) => queue.name, empty: 'No job has been submitted yet.',
		columns: [
			{ title: 'Queue', class: 'wide', lead: true, cell: (queue) => h('a', { href: `#/jobs?${new URLSearchParams({ queue: queue.name })}` }, queue.name) },
			{ title: 'State', lead: true, cell: state },
			number('Due', (queue) => queue.due),
			{ title: 'Oldest due', class: 'number', cell: (queue) => (queue.oldest_due_seconds === null ? h('span', { class: 'none' }, '–') : duration(queue.oldest_due_seconds)) },
			number('Queued', (queue) => queue.queued),
			number('Running', (queue) => queue.running),
			number('Later', (queue) => queue.scheduled),
			number('Held back', (queue) => queue.held),
			{ title: 'Workers', class: 'number', cell: (queue) => [`${queue.workers}`, h('span', { class: 'ago' }, ` ${queue.slots} slots`)] },
			may('admin') && { title: 'Actions', quiet: true, class: 'actions', cell: (queue) => toggle(queue, view) },
		].filter(Boolean),
	});
}

function state(queue) {
	if (queue.paused)
		return [badge('paused'), h('span', { class: 'muted' }, ` by ${queue.paused_by}, `, when(queue.paused_at, { relative: false }))];
	if (queue.workers === 0)
		return badge('unserved');
	return badge('open');
}

const toggle = (queue, view) => {
	const verb = queue.paused ? 'resume' : 'pause';
	return button(queue.paused ? 'Resume' : 'Pause',
		() => act(`queue ${queue.name}`, () => call('POST', path`queues/${queue.name}` + `/${verb}`), `Queue ${queue.name} is ${queue.paused ? 'open' : 'paused'}.`, () => view.now()),
		{ 'aria-label': `${queue.paused ? 'Resume' : 'Pause'} queue ${queue.name}` });
};
