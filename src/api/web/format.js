// format.js: numbers, times and JSON for people.
import { serverNow } from './api.js';
import { h } from './dom.js';

const whole = new Intl.NumberFormat('en-GB');
const clock = new Intl.DateTimeFormat('en-GB', { hour: '2-digit', minute: '2-digit', second: '2-digit' });
const day = new Intl.DateTimeFormat('en-GB', { day: 'numeric', month: 'short', hour: '2-digit', minute: '2-digit' });
const year = new Intl.DateTimeFormat('en-GB', { day: 'numeric', month: 'short', year: 'numeric', hour: '2-digit', minute: '2-digit' });

// count(7, 100000): a count that stops at a limit means "at least" there
export const count = (n, limit) => (limit && n >= limit ? `${whole.format(limit)}+` : whole.format(n));

export const plural = (n, one, many = `${one}s`) => `${whole.format(n)} ${n === 1 ? one : many}`;

// duration(0.0025) = "2.5 ms"
export function duration(seconds) {
	if (seconds === null || seconds === undefined)
		return '–';
	const digits = (x) => (x >= 99.5 ? x.toFixed(0) : String(Number(x.toPrecision(2))));
	if (seconds < 0)
		seconds = 0;
	if (seconds < 0.0009995)
		return `${digits(seconds * 1e6)} µs`;
	if (seconds < 0.9995)
		return `${digits(seconds * 1e3)} ms`;
	if (seconds < 9.95)
		return `${digits(seconds)} s`;
	const parts = [['d', 86400], ['h', 3600], ['min', 60], ['s', 1]];
	let rest = Math.round(seconds);
	const first = parts.findIndex(([, size]) => rest >= size);
	return parts.slice(first, first + 2).map(([unit, size]) => {
		const n = Math.floor(rest / size);
		rest -= n * size;
		return n > 0 ? `${n} ${unit}` : '';
	}).join(' ').trim();
}

// ago(date) = "3 min ago", "in 2 h": the coarser, the farther
function ago(date) {
	const seconds = (date - serverNow()) / 1000;
	const size = Math.abs(seconds);
	if (size < 1)
		return 'now';
	const [unit, length] = size < 60 ? ['s', 1] : size < 3600 ? ['min', 60] : size < 86400 ? ['h', 3600] : ['d', 86400];
	const text = `${Math.floor(size / length)} ${unit}`;
	return seconds < 0 ? `${text} ago` : `in ${text}`;
}

function localTime(date) {
	const now = new Date();
	if (date.toDateString() === now.toDateString())
		return clock.format(date);
	return (date.getFullYear() === now.getFullYear() ? day : year).format(date);
}

// when('2026-11-24T21:30:00.000000Z'): local time and how far away; UTC when pointed at
export function when(text, { relative = true } = {}) {
	if (!text)
		return h('span', { class: 'none' }, '–');
	const date = new Date(text);
	return h('time', { datetime: text, title: `${text.replace('T', ' ').replace(/(\.\d+)?Z$/, '$1 UTC')}` },
		localTime(date), relative && h('span', { class: 'ago' }, ' ', ago(date)));
}

export function bytes(n) {
	const units = ['bytes', 'kB', 'MB', 'GB'];
	let at = 0;
	while (n >= 1000 && at < units.length - 1) {
		n /= 1000;
		at++;
	}
	return `${at > 0 && n < 10 ? n.toFixed(1) : Math.round(n)} ${units[at]}`;
}

export const json = (value) => JSON.stringify(value, null, 2);
export const shortId = (id) => `${id.slice(0, 8)}…${id.slice(-4)}`;
