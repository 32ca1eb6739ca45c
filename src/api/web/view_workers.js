// view_workers.js: who runs the jobs.
import { get } from './api.js';
import { fill, h } from './dom.js';
import { duration, when } from './format.js';
import { badge, problemBox, table, title } from './parts.js';

export function workers(root) {
	const list = h('div', {});
	fill(root, title('Workers'), list);
	return {
		every: 2000,
		load: (signal) => get('workers', { limit: 500 }, signal),
		show: (answer) => fill(list, workerTable(answer.workers)),
		refuse: (problem) => fill(list, problemBox(problem)),
	};
}

const workerTable = (rows) => table({
	caption: 'Workers, live ones first', rows, key: (worker) => worker.id, empty: 'No worker has registered yet.',
	state: (worker) => (worker.state === 'stopped' ? 'faint' : null),
	columns: [
		{ title: 'State', lead: true, cell: (worker) => badge(worker.state) },
		{ title: 'Worker', class: 'wide', lead: true, cell: (worker) => [h('strong', {}, worker.worker_id), h('span', { class: 'id' }, host(worker.info))] },
		{ title: 'Queues', cell: (worker) => worker.queues.join(', ') },
		{ title: 'Load', cell: load },
		{ title: 'Last seen', class: 'time', cell: (worker) => when(worker.last_seen) },
		{ title: 'Started', class: 'time', cell: (worker) => when(worker.started_at) },
		{ title: 'Tasks, mean time', class: 'wide', cell: (worker) => means(worker.load.means) },
	],
});

const host = ({ host: name, pid, version }) => [name, pid && `pid ${pid}`, version && `version ${version}`].filter(Boolean).join(', ');

const load = (worker) => h('div', { class: 'meter' },
	h('meter', { min: 0, max: worker.slots, value: Math.min(worker.running, worker.slots), 'aria-label': `${worker.running} of ${worker.slots} slots` }),
	h('span', {}, `${worker.running} of ${worker.slots}`));

const means = (all) => Object.entries(all ?? {}).sort(([a], [b]) => a.localeCompare(b))
	.map(([task, seconds]) => h('span', { class: 'pair', key: task }, `${task} ${duration(seconds)}`));
