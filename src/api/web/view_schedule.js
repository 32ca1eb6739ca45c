// view_schedule.js: the form that makes or changes a schedule.
import { call, get, path } from './api.js';
import { tell } from './actions.js';
import { fill, h } from './dom.js';
import { json } from './format.js';
import { choice, cronFields, localInput, number, payload, taskNames, text, whenSent } from './forms.js';
import { field, problemBox, title } from './parts.js';
import { go } from './route.js';

const MISFIRE = [['run_once', 'run once'], ['skip', 'skip'], ['run_all', 'run all']];
const OVERLAP = [['skip', 'skip the new run'], ['queue_one', 'let one wait'], ['allow', 'run both'], ['cancel_running', 'cancel the old run']];

export function schedule(root, query) {
	const id = query.get('id');
	const body = h('div', {});
	fill(root, title(id ? 'Change a schedule' : 'New schedule'), body);
	if (!id) {
		fill(body, scheduleForm(null));
		return {};
	}
	// Once: what is being typed is not to be overwritten.
	get(path`schedules/${id}`).then((one) => fill(body, scheduleForm(one)), (problem) => fill(body, problemBox(problem)));
	return {};
}

function scheduleForm(one) {
	const was = one ?? {};
	const time = (name, label) => field(label, h('input', { name, type: 'datetime-local', step: 1, value: was[name] && localInput(new Date(was[name])) }));
	const form = h('form', { class: 'panel form', 'aria-label': 'Schedule' },
		text('schedule_name', 'Name of the schedule', { value: was.schedule_name, readonly: one !== null, maxlength: 255 }),
		text('name', 'Task', { value: was.name, list: 'tasks' }), taskNames(),
		cronFields(was),
		payload(json(was.payload ?? {})),
		choice('overlap_policy', 'When the last run is not over', OVERLAP, was.overlap_policy ?? 'skip'),
		choice('misfire_policy', 'Times that were missed', MISFIRE, was.misfire_policy ?? 'run_once'),
		h('details', { class: 'broad' }, h('summary', {}, 'More'), h('div', { class: 'group' },
			text('queue', 'Queue', { value: was.queue, placeholder: 'the default' }),
			number('priority', 'Priority', { value: was.priority, min: 0, max: 9, step: 1, placeholder: '0' }, '0 to 9; 9 goes first.'),
			number('max_retries', 'Retries', { value: was.max_retries, min: 0, max: 1000, step: 1, placeholder: '3' }),
			number('timeout', 'Timeout (seconds)', { value: was.timeout, min: 0, placeholder: 'none' }),
			number('jitter', 'Jitter (seconds)', { value: was.jitter, min: 0, placeholder: 'none' }, 'Starts are spread over so long.'),
			number('max_runs', 'Runs at most', { value: was.max_runs, min: 1, step: 1, placeholder: 'no limit' }),
			number('catchup_window', 'Missed times are kept (seconds)', { value: was.catchup_window, min: 0, placeholder: '86400' }),
			number('catchup_max', 'and at most so many', { value: was.catchup_max, min: 1, step: 1, placeholder: '100' }),
			time('starts_at', 'Not before (local time)'), time('ends_at', 'Not after (local time)'),
			choice('dst_gap', 'A time that the clock skips', [['next_valid', 'runs after the gap'], ['skip', 'is skipped']], was.dst_gap ?? 'next_valid'),
			choice('dst_overlap', 'A time that the clock shows twice', [['first', 'runs the first time'], ['last', 'runs the last time'], ['both', 'runs both times']], was.dst_overlap ?? 'first'))),
		h('div', { class: 'buttons broad' }, h('button', { type: 'submit', class: 'primary' }, one ? 'Change' : 'Make'), h('a', { class: 'button quiet', href: '#/schedules' }, 'Back')));
	whenSent(form, async ({ schedule_name: name, ...rest }) => {
		if (!name) {
			form.elements.schedule_name.focus();
			throw Object.assign(new Error('A schedule needs a name.'), { status: 0, field: 'schedule_name' });
		}
		// An unchanged time loses nothing by the form's whole seconds.
		for (const what of ['starts_at', 'ends_at']) {
			if (was[what] && form.elements[what].value === localInput(new Date(was[what])))
				rest[what] = was[what];
		}
		const made = await call('PUT', path`schedules/${name}`, rest);
		tell(`${made.schedule_name}: ${made.description}.`);
		go('/schedules');
	});
	return form;
}
