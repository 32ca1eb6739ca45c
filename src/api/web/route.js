// route.js: the part of the address after #, which says what is shown.

// here() = {parts: ['jobs', '01a2...'], query: URLSearchParams}
export function here() {
	const [path, query] = location.hash.replace(/^#\/?/, '').split('?', 2);
	return { parts: path.split('/').filter((part) => part !== '').map(decode), query: new URLSearchParams(query ?? '') };
}

function decode(text) {
	try {
		return decodeURIComponent(text);
	} catch {
		return text;
	}
}

// go('/jobs', {status: 'failed'})
export function go(path, query = {}) {
	const words = new URLSearchParams(query);
	location.hash = `#${path}${String(words) ? `?${words}` : ''}`;
}
