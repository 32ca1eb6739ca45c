// app.js: the page around the views: where one is, who one is, whether the server answers.
import { caller, may, signedIn, signIn } from './api.js';
import { fill, h } from './dom.js';
import { poll } from './poll.js';
import { button } from './parts.js';
import { here } from './route.js';
import { job } from './view_job.js';
import { jobs } from './view_jobs.js';
import { overview } from './view_overview.js';
import { queues } from './view_queues.js';
import { schedule } from './view_schedule.js';
import { schedules } from './view_schedules.js';
import { needed, signInForm } from './view_signin.js';
import { submit } from './view_submit.js';
import { workers } from './view_workers.js';

const main = document.getElementById('main');
const views = { '': overview, jobs, schedules, schedule, queues, workers, submit };
const links = [['', 'Overview'], ['jobs', 'Jobs'], ['schedules', 'Schedules'], ['queues', 'Queues'], ['workers', 'Workers']];

let current = null; // {view, poller}
let shown = null; // the address that it shows

// A view is made once for an address: view(root, query, ...parts) -> {load(signal), show(answer), refuse(problem), every, close()},
// all of them optional; it gets now(), which asks at once.
function open() {
	const focused = document.activeElement?.name;
	close();
	const { parts: [name = '', ...rest], query } = here();
	const make = name === 'jobs' && rest.length > 0 ? job : views[name];
	const again = shown !== null;
	shown = location.hash;
	fill(main);
	if (!make) {
		fill(main, h('h1', { tabindex: -1 }, 'There is nothing here'), h('p', {}, h('a', { href: '#/' }, 'To the overview')));
	} else {
		const view = make(main, query, ...rest);
		current = { view };
		if (view.load) {
			current.poller = poll({ load: view.load, show: view.show, refuse: view.refuse, connected, every: () => view.every });
			view.now = current.poller.now;
		}
	}
	const heading = main.querySelector('h1');
	document.title = `${heading.textContent} · jobsched`;
	navigation(name);
	if (again) {
		// Who has changed a filter stays there.
		const field = focused && main.querySelector(`[name="${CSS.escape(focused)}"]`);
		(field || heading).focus({ preventScroll: true });
		scrollTo(0, 0);
	}
}

function close() {
	current?.poller?.stop();
	current?.view.close?.();
	current = null;
}

// ---- around the view ----

function navigation(name) {
	const group = name === 'schedule' ? 'schedules' : name;
	fill(document.getElementById('nav'), links.map(([to, text]) => h('a', { key: to, href: `#/${to}`, 'aria-current': to === group ? 'page' : null }, text)));
	tools(name);
}

const THEMES = { auto: ['◐', 'as the system'], light: ['☀', 'light'], dark: ['☾', 'dark'] };

function tools(name) {
	const theme = window.jobschedTheme.get();
	const order = Object.keys(THEMES);
	const next = order[(order.indexOf(theme) + 1) % order.length];
	fill(document.getElementById('tools'),
		may('submitter') && h('a', { key: 'new', class: 'button primary', href: '#/submit', 'aria-current': name === 'submit' ? 'page' : null }, 'New job'),
		caller.tokens && caller.role !== 'anybody' && h('span', { key: 'who', class: 'who', title: `${caller.name}, ${caller.role}` }, caller.name, h('span', { class: 'muted' }, ` ${caller.role}`)),
		caller.tokens && signedIn() && button('Sign out', () => signIn(null).finally(start), { key: 'out', class: 'quiet' }),
		button(h('span', { 'aria-hidden': 'true' }, THEMES[theme][0]), () => {
			window.jobschedTheme.set(next);
			tools(name);
		}, { key: 'theme', class: 'quiet icon', 'aria-label': `Theme: ${THEMES[theme][1]}. Change to: ${THEMES[next][1]}`, title: `Theme: ${THEMES[theme][1]}` }));
}

// ---- is the server there? ----

let countdown = null;
function connected(problem, again, retry = () => current?.poller?.now()) {
	const bar = document.getElementById('connection');
	clearInterval(countdown);
	if (!problem) {
		bar.hidden = true;
		fill(bar);
		return;
	}
	const left = h('span', { class: 'left', 'aria-hidden': 'true' });
	const tick = () => fill(left, `again in ${Math.max(0, Math.ceil((again - Date.now()) / 1000))} s`);
	tick();
	countdown = setInterval(tick, 1000);
	fill(bar, h('strong', {}, 'Not connected'), h('span', { class: 'text' }, problem.message), left, button('Try now', retry));
	bar.hidden = false;
}

// ---- begin ----

let asked = false;
async function start() {
	close();
	let ask;
	try {
		ask = await needed();
	} catch (problem) {
		if (problem.status === undefined)
			throw problem; // ours
		const timer = setTimeout(() => start(), 3000);
		connected(problem, Date.now() + 3000, () => {
			clearTimeout(timer);
			start();
		});
		return;
	}
	connected(null);
	asked = ask;
	if (ask) {
		shown = null;
		navigation(null);
		signInForm(main, start);
	} else {
		open();
	}
}

window.addEventListener('hashchange', () => {
	if (!asked && location.hash !== shown)
		open();
});
window.addEventListener('unauthorized', () => {
	if (!asked) {
		asked = true;
		start();
	}
});
document.getElementById('skip').addEventListener('click', () => main.focus());
start();
