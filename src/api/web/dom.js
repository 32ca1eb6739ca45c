// dom.js: makes elements, and brings a part of the page up to date without touching what has not changed, so that focus,
// selection and scrolling stay.  Text is put in as text: nothing that comes from the server is ever read as HTML.

// h('a', {class: 'x', href: '#', onclick: f, key: 7}, child, ...): children are nodes, text, numbers, arrays of them; null and
// false are left out.  A key tells the same thing among its neighbours; keep: its children are not ours to change.
export function h(name, attributes, ...children) {
	const node = document.createElement(name);
	node.handlers = {};
	for (const [key, value] of Object.entries(attributes ?? {})) {
		if (key === 'key' || key === 'keep')
			node[key] = value;
		else if (key.startsWith('on'))
			node[key] = node.handlers[key] = value;
		else if (value !== null && value !== undefined && value !== false)
			node.setAttribute(key, value === true ? '' : value);
	}
	node.append(...nodes(children));
	return node;
}

function nodes(children) {
	return children.flat(Infinity)
		.filter((child) => child !== null && child !== undefined && child !== false)
		.map((child) => (child instanceof Node ? child : document.createTextNode(String(child))));
}

const same = (a, b) => a.nodeName === b.nodeName && a.key === b.key;

// fill(parent, child, ...): parent shall hold just these
export function fill(parent, ...children) {
	const wanted = nodes(children);
	const keys = new Set(wanted.map((node) => node.key).filter((key) => key !== undefined));
	const there = new Map([...parent.childNodes].filter((node) => node.key !== undefined).map((node) => [node.key, node]));
	let at = parent.firstChild;
	const next = (node) => {
		// What goes is taken out first: nothing that stays needs to be moved for it, which would lose the focus.
		while (node && node.key !== undefined && !keys.has(node.key)) {
			const gone = node;
			node = node.nextSibling;
			gone.remove();
		}
		return node;
	};
	for (const node of wanted) {
		at = next(at);
		const old = node.key === undefined ? at : there.get(node.key);
		if (!old || !same(old, node)) {
			parent.insertBefore(node, at);
			continue;
		}
		if (old === at)
			at = at.nextSibling;
		else
			parent.insertBefore(old, at);
		if (old !== node)
			update(old, node);
	}
	while (at) {
		const gone = at;
		at = at.nextSibling;
		gone.remove();
	}
}

function update(old, node) {
	if (old.nodeType === Node.TEXT_NODE) {
		if (old.data !== node.data)
			old.data = node.data;
		return;
	}
	const theirs = (name) => name === 'open' && old.nodeName === 'DETAILS'; // who looks at it has opened or closed it
	for (const { name } of [...old.attributes]) {
		if (!node.hasAttribute(name) && !theirs(name))
			old.removeAttribute(name);
	}
	for (const { name, value } of node.attributes) {
		if (old.getAttribute(name) !== value && !theirs(name))
			old.setAttribute(name, value);
	}
	for (const name of new Set([...Object.keys(old.handlers ?? {}), ...Object.keys(node.handlers ?? {})]))
		old[name] = node.handlers?.[name] ?? null;
	old.handlers = node.handlers;
	if (!old.keep)
		fill(old, ...node.childNodes);
}
