// api.js: calls of the REST API, and who is calling.

const TOKEN = 'jobsched.token';
const ROLES = ['anybody', 'viewer', 'submitter', 'admin'];

// What the server answers with application/problem+json.  status 0: there was no answer.
class Problem extends Error {
	constructor(status, problem) {
		super(problem.detail ?? problem.title ?? `status ${status}`);
		this.status = status;
		this.hint = problem.hint ?? null;
		this.field = problem.field ?? null;
	}

	// Nothing is wrong with the request: later it may work.
	get passing() {
		return this.status === 0 || this.status === 408 || this.status === 429 || this.status >= 500;
	}
}

let token = null;
try {
	token = sessionStorage.getItem(TOKEN);
} catch {
	// storage is forbidden: the token holds until the page is left
}

// The server's clock, in milliseconds since 1970: that of the browser may be wrong, and "now" means now there.
let offset = 0;
export const serverNow = () => Date.now() + offset;

export const caller = { name: null, role: 'anybody', tokens: false };

export const may = (role) => ROLES.indexOf(caller.role) >= ROLES.indexOf(role);
export const signedIn = () => token !== null;

export async function learnCaller(signal) {
	Object.assign(caller, await get('whoami', null, signal));
	return caller;
}

// signIn(null) forgets the token.
export async function signIn(text) {
	token = text;
	try {
		if (text === null)
			sessionStorage.removeItem(TOKEN);
		else
			sessionStorage.setItem(TOKEN, text);
	} catch {
		// see above
	}
	return learnCaller();
}

function address(path, query) {
	const words = new URLSearchParams();
	for (const [name, value] of Object.entries(query ?? {})) {
		if (value !== null && value !== undefined && value !== '')
			words.set(name, value);
	}
	return String(words) ? `${path}?${words}` : path;
}

// Below two seconds it is the way here, and that headers tell whole seconds.
function learnOffset(skew) {
	offset = Math.abs(skew) > 2000 ? skew : 0;
}

async function send(method, path, body, signal) {
	const headers = { Accept: 'application/json, application/problem+json' };
	if (body !== undefined)
		headers['Content-Type'] = 'application/json';
	if (token !== null)
		headers.Authorization = `Bearer ${token}`;
	let response;
	try {
		response = await fetch(path, {
			method, headers, signal, cache: 'no-cache', credentials: 'omit',
			body: body === undefined ? undefined : JSON.stringify(body),
		});
	} catch (error) {
		if (error.name === 'AbortError')
			throw error;
		throw new Problem(0, { detail: 'the server does not answer' });
	}
	if (!response.headers.has('ETag')) // else it may be from the cache, with the time of then
		learnOffset(Date.parse(response.headers.get('Date')) - Date.now());
	if (response.ok)
		return response;
	let problem = {};
	try {
		problem = await response.json();
	} catch {
		// a proxy's page
	}
	if (response.status === 401)
		window.dispatchEvent(new Event('unauthorized'));
	throw new Problem(response.status, problem);
}

// The rest may still be lost on the way, or be a proxy's page.
async function read(response, how) {
	try {
		return await response[how]();
	} catch (error) {
		if (error.name === 'AbortError')
			throw error;
		throw new Problem(0, { detail: 'the answer cannot be read' });
	}
}

// The paths are relative, so that the pages may live below any path of a proxy.
export async function get(path, query, signal) {
	return read(await send('GET', address(path, query), undefined, signal), 'json');
}
export async function call(method, path, body) {
	return read(await send(method, path, body), 'json');
}
// getFile(path) = {blob}, or {url} when it is on another server
export async function getFile(path) {
	const response = await send('GET', path);
	return response.headers.has('Content-Disposition') ? { blob: await read(response, 'blob') } : read(response, 'json');
}

// path`jobs/${id}/pause`: what is put in is encoded
export const path = (texts, ...values) => String.raw({ raw: texts }, ...values.map(encodeURIComponent));
