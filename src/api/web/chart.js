// chart.js: charts by the minute, drawn by uPlot, with a legend that says the numbers under the pointer (or of the last whole
// minute) and a table of them for those who do not see the drawing.
/* global uPlot */
import { fill, h } from './dom.js';

const HEIGHT = 180;
const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

// chart({title, series: [{name, colour: '--name', of(minute), dashed}], kind: 'bars' (stacked) or 'lines', format}) -> {node, show(minutes), close()}
export function chart({ title, series, kind, format }) {
	const place = h('div', { class: 'plot', 'aria-hidden': 'true' });
	const legend = h('div', { class: 'legend' });
	const numbers = h('details', { class: 'numbers' }, h('summary', {}, 'As a table'));
	const rows = h('div', { class: 'table small', tabindex: 0, role: 'region', 'aria-label': `${title}, by the minute` });
	numbers.append(rows);
	numbers.addEventListener('toggle', () => table());
	const node = h('section', { class: 'panel chart', 'aria-label': title }, h('h2', {}, title), legend, place, numbers);
	let plot = null;
	let minutes = [];

	// Bars stand on each other: each is drawn from the ground to the sum of those below it, the highest first.
	function columns() {
		const values = series.map((one) => minutes.map(one.of));
		if (kind === 'bars') {
			for (let i = 1; i < values.length; i++)
				values[i] = values[i].map((value, at) => value + values[i - 1][at]);
		}
		return [minutes.map((minute) => minute.time), ...values.reverse()];
	}

	function options() {
		const grid = { stroke: colour('--line'), width: 1 };
		const axis = { stroke: colour('--muted'), font: '12px system-ui, sans-serif', grid, ticks: { show: false } };
		const decade = (u, splits) => splits.map((value) => (isDecade(value, u.scales.y) ? value : null));
		return {
			width: Math.max(place.clientWidth, 100), height: HEIGHT, legend: { show: false },
			cursor: { y: false, points: { show: kind === 'lines' }, drag: { x: false, y: false } },
			scales: kind === 'bars' ? { y: { range: (u, low, high) => [0, Math.max(high * 1.1, 4)] } } : { y: { distr: 3, range: (u, low, high) => decades(low, high) } },
			axes: [
				{ ...axis, values: '{HH}:{mm}', space: 60, size: 28 },
				{ ...axis, size: 58, values: (u, splits) => splits.map((value) => (value === null ? null : kind === 'lines' && value >= 10 ? `${value} s` : format(value))),
					...(kind === 'lines' ? { filter: decade, grid: { ...grid, filter: decade } } : {}) },
			],
			series: [{}, ...series.map((one) => (kind === 'bars'
				? { fill: colour(one.colour), width: 0, points: { show: false }, paths: uPlot.paths.bars({ size: [0.72, 40], align: 1 }) }
				: { stroke: colour(one.colour), width: 2, dash: one.dashed ? [5, 4] : undefined, points: { show: true, size: 4, fill: colour(one.colour) } })).reverse()],
			hooks: { setCursor: [say] },
		};
	}

	function decades(low, high) {
		if (!(low > 0))
			return [0.001, 1];
		return [10 ** Math.floor(Math.log10(low)), 10 ** Math.max(Math.ceil(Math.log10(high)), Math.floor(Math.log10(low)) + 1)];
	}

	// Lines at powers of ten; when there are many, at every other.
	function isDecade(value, { min, max }) {
		const power = Math.round(Math.log10(value));
		return Math.abs(Math.log10(value) - power) < 1e-6 && (max / min < 1.1e5 || power % 2 === 0);
	}

	function say() {
		const pointed = plot?.cursor.idx ?? null;
		const minute = minutes[pointed ?? minutes.length - 2] ?? minutes.at(-1);
		if (!minute)
			return;
		fill(legend,
			h('span', { class: 'minute' }, new Date(minute.at).toLocaleTimeString('en-GB', { hour: '2-digit', minute: '2-digit' })),
			series.map((one) => h('span', { key: one.name, class: `series${one.dashed ? ' dashed' : ''}` },
				h('i', { class: `swatch of${one.colour}` }), `${one.name} `, h('b', {}, one.of(minute) === null ? '–' : format(one.of(minute))))));
	}

	function table() {
		if (!numbers.open)
			return;
		fill(rows, h('table', {}, h('caption', { class: 'hidden' }, `${title}, by the minute`),
			h('thead', {}, h('tr', {}, h('th', { scope: 'col' }, 'Minute'), series.map((one) => h('th', { scope: 'col', class: 'number' }, one.name)))),
			h('tbody', {}, [...minutes].reverse().map((minute) => h('tr', { key: minute.at },
				h('th', { scope: 'row' }, new Date(minute.at).toLocaleTimeString('en-GB', { hour: '2-digit', minute: '2-digit' })),
				series.map((one) => h('td', { class: 'number' }, one.of(minute) === null ? '–' : format(one.of(minute)))))))));
	}

	function draw() {
		plot?.destroy();
		plot = new uPlot(options(), columns(), place);
		say();
	}

	const sized = new ResizeObserver(() => plot?.setSize({ width: Math.max(place.clientWidth, 100), height: HEIGHT }));
	sized.observe(place);
	window.addEventListener('themechange', draw);
	return {
		node,
		show(answer) {
			minutes = answer;
			if (plot)
				plot.setData(columns());
			else
				draw();
			say();
			table();
		},
		close() {
			sized.disconnect();
			window.removeEventListener('themechange', draw);
			plot?.destroy();
		},
	};
}
