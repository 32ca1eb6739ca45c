// view_signin.js: asks for a token.
import { caller, learnCaller, signedIn, signIn } from './api.js';
import { fill, h } from './dom.js';
import { showProblem, text, whenSent } from './forms.js';
import { title } from './parts.js';

// signInForm(root, then)
export function signInForm(root, then) {
	const form = h('form', { class: 'panel form narrow', 'aria-label': 'Sign in' },
		h('p', { class: 'broad' }, 'This server asks for a token. It is kept until this tab is closed.'),
		text('token', 'Token', { type: 'password', autocomplete: 'off', required: true }),
		h('div', { class: 'buttons broad' }, h('button', { type: 'submit', class: 'primary' }, 'Sign in')));
	const unknown = () => showProblem(form, { message: 'This token is not known here.', hint: null, field: 'token' });
	whenSent(form, async ({ token }) => {
		await signIn(token?.trim() ?? '');
		if (caller.role === 'anybody') {
			await signIn(null);
			unknown();
			return;
		}
		then();
	});
	fill(root, title('Sign in'), form);
	if (signedIn()) // with a token that is not known any longer
		unknown();
	else
		form.elements.token.focus();
}

export const needed = () => learnCaller().then(() => caller.tokens && caller.role === 'anybody');
