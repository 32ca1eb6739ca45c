// actions.js: messages, questions, and what a button does.
import { h } from './dom.js';
import { button } from './parts.js';

const STAYS = 6000; // milliseconds of a good message; a bad one stays until it is closed

export function tell(text, problem = null) {
	const box = document.getElementById('messages');
	const close = button('Close', () => message.remove(), { class: 'quiet' });
	const message = h('div', { class: problem ? 'message bad' : 'message', role: problem ? 'alert' : null },
		h('div', {}, h('p', {}, text), problem && h('p', {}, problem.message), problem?.hint && h('p', { class: 'hint' }, problem.hint)), close);
	box.append(message);
	while (box.children.length > 4)
		box.firstChild.remove();
	if (!problem)
		setTimeout(() => message.remove(), STAYS);
}

// ask({title, body: nodes, yes: 'Cancel 7 jobs', danger}) -> is it to be done?
export function ask({ title, body, yes, no = 'Back', danger }) {
	return new Promise((resolve) => {
		let answer = false;
		const end = (what) => () => {
			answer = what;
			dialog.close();
		};
		const dialog = h('dialog', { 'aria-labelledby': 'question' },
			h('h2', { id: 'question' }, title), h('div', { class: 'body' }, body),
			h('div', { class: 'buttons' }, button(no, end(false), { autofocus: true }), button(yes, end(true), { class: danger ? 'danger' : 'primary' })));
		dialog.addEventListener('close', () => {
			dialog.remove();
			resolve(answer);
		});
		document.body.append(dialog);
		dialog.showModal();
	});
}

// act(key, what, done, then): does it, once however often the button is pressed, and says that it is done (a text, or what is made of
// the answer; nothing when nothing was done) or why not
const busy = new Set();
export async function act(key, what, done, then) {
	if (busy.has(key))
		return;
	busy.add(key);
	const focused = document.activeElement;
	try {
		const answer = await what();
		const text = typeof done === 'function' ? done(answer) : done;
		if (text)
			tell(text);
		then?.(answer);
	} catch (problem) {
		if (problem.status === undefined)
			throw problem; // ours
		tell('That could not be done.', problem);
	} finally {
		busy.delete(key);
		// The button may be gone with the state that it changed: the focus goes on from the heading, not from the beginning.
		setTimeout(() => {
			if (focused && !focused.isConnected && document.activeElement === document.body)
				document.querySelector('#main h1')?.focus({ preventScroll: true });
		}, 500);
	}
}
