// parts.js: what the views are made of.
import { h } from './dom.js';
import { duration, json } from './format.js';

export const badge = (status) => h('span', { class: `badge is-${status}` }, status);

// table({caption, columns: [{title, cell(row), class, quiet, lead, minor}], rows, key(row), empty}): on narrow screens each row is shown as a card,
// for which the cells carry their titles; the roles keep it a table there too.  quiet: the title is only for screen readers.
export function table({ caption, columns, rows, key, empty, state }) {
	if (rows.length === 0)
		return h('p', { class: 'empty', key: 'empty' }, empty);
	return h('div', { class: 'table', key: 'table' }, h('table', { role: 'table' },
		h('caption', { class: 'hidden' }, caption),
		h('thead', { role: 'rowgroup' }, h('tr', { role: 'row' },
			columns.map((column) => h('th', { role: 'columnheader', scope: 'col', class: column.class },
				column.quiet ? h('span', { class: 'hidden' }, column.title) : column.title)))),
		h('tbody', { role: 'rowgroup' }, rows.map((row) => h('tr', { role: 'row', key: key(row), class: state?.(row) },
			columns.map((column) => cell(column, column.cell(row))))))));
}

// lead: begins the card, without its title; minor: not shown on cards; so is what is empty.
function cell(column, content) {
	const none = content instanceof Element && content.classList.contains('none');
	const classes = [column.class, column.lead && 'lead', (column.minor || none) && 'minor'].filter(Boolean).join(' ');
	return h('td', { role: 'cell', class: classes || null, 'data-label': column.quiet || column.lead ? null : column.title }, h('div', {}, content));
}

// facts([['Queue', 'jobs'], ...]): what is null is left out
export const facts = (rows) => h('dl', { class: 'facts' },
	rows.filter(([, value]) => value !== null && value !== undefined && value !== false)
		.map(([name, value]) => h('div', { key: name }, h('dt', {}, name), h('dd', {}, value))));

export const button = (text, onclick, more = {}) => h('button', { type: 'button', onclick, ...more }, text);

export const problemBox = (problem) => h('div', { class: 'problem', key: 'problem' }, h('p', {}, problem.message), problem.hint && h('p', {}, problem.hint));

export const code = (value) => h('pre', { tabindex: 0 }, typeof value === 'string' ? value : json(value));

export function title(text, ...beside) {
	return h('div', { class: 'title', key: 'title' }, h('h1', { tabindex: -1 }, text), beside);
}

let fields = 0;

// field('Queue', h('input', {name: 'queue'}), 'a hint'): with its label
export function field(label, input, hint, more = {}) {
	input.id ||= `field-${++fields}`;
	if (hint)
		input.setAttribute('aria-describedby', `${input.id}-hint`);
	return h('div', { class: `field ${more.class ?? ''}` }, h('label', { for: input.id }, label), input,
		hint && h('p', { class: 'hint', id: `${input.id}-hint` }, hint));
}

export const select = (name, options, chosen, more = {}) => h('select', { name, ...more },
	options.map(([value, text]) => h('option', { value, selected: value === chosen }, text ?? value)));

// fireTimes(next): times of a schedule on the clock of its zone
export const fireTimes = (times) => h('ol', { class: 'times' }, times.map((time) => {
	const [date, clock] = time.local_time.split('T');
	const weekday = new Date(`${date}T00:00:00Z`).toLocaleDateString('en-GB', { weekday: 'short', timeZone: 'UTC' });
	return h('li', {}, h('time', { datetime: time.at, title: `${time.at.replace('T', ' ').replace(/(\.\d+)?Z$/, '')} UTC` },
		`${weekday} ${date} ${clock.replace(/:00$/, '')}`, h('span', { class: 'offset' }, ` ${time.utc_offset}`)),
	time.note && h('span', { class: 'note' }, ` ${time.note}`));
}));

// Date knows milliseconds only.
const seconds = (text) => Date.parse(text.replace(/\.\d+/, '')) / 1000 + Number(text.match(/\.\d+/)?.[0] ?? 0);

// took(from, to): two times as the server writes them
export const took = (from, to) => (from && to ? duration(seconds(to) - seconds(from)) : null);
