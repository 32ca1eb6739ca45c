// browser.mjs: headless Chromium for the tests: steps with names, and everything that a page complains about is a failure.
import { chromium } from 'playwright-core';

const PATIENCE = 15000; // milliseconds for anything that is waited for

let failed = 0;
let complaints = [];
let expected = [];

// step('what should be', async () => {...}): a line of TAP; a failure does not end the rest
export async function step(what, run) {
	let why = null;
	try {
		await run();
	} catch (error) {
		why = error.stack;
	}
	const bad = complaints.filter((text) => !expected.some((pattern) => pattern.test(text)));
	complaints = [];
	expected = [];
	if (bad.length > 0)
		why = `${why ?? ''}\nthe page complained:\n${bad.join('\n')}`;
	console.log(`${why ? 'not ok' : 'ok'} - ${what}`);
	if (why) {
		failed++;
		console.log(why.replace(/^/gm, '# '));
	}
}

// Complaints that this step provokes.
export const expectComplaint = (...patterns) => expected.push(...patterns);

export async function openBrowser() {
	return chromium.launch({ executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', args: ['--no-sandbox', '--disable-dev-shm-usage'] });
}

// openPage(browser, {width, height, scheme}): with a session storage and theme of its own
export async function openPage(browser, { width = 1280, height = 900, scheme = 'light', url } = {}) {
	const context = await browser.newContext({ viewport: { width, height }, colorScheme: scheme, baseURL: url, timezoneId: 'America/New_York', reducedMotion: 'reduce' });
	context.setDefaultTimeout(PATIENCE);
	const page = await context.newPage();
	await page.addInitScript(() => addEventListener('securitypolicyviolation', (event) => console.error(`CSP: ${event.violatedDirective} ${event.blockedURI} ${event.sample}`)));
	page.on('console', (message) => {
		if (['error', 'warning'].includes(message.type()))
			complaints.push(`${message.type()}: ${message.text()} (${message.location().url})`);
	});
	page.on('pageerror', (error) => complaints.push(error.stack));
	page.on('request', (request) => {
		if (!request.url().startsWith(url) && !/^(data|blob):/.test(request.url()))
			complaints.push(`it asked for ${request.url()}`);
	});
	return page;
}

// until('what', async () => truth): polls
export async function until(what, condition, patience = PATIENCE) {
	const deadline = Date.now() + patience;
	for (;;) {
		const answer = await condition();
		if (answer)
			return answer;
		if (Date.now() > deadline)
			throw new Error(`waited ${patience / 1000} s for: ${what}`);
		await new Promise((resolve) => setTimeout(resolve, 50));
	}
}

export function end() {
	process.exitCode = failed > 0 ? 1 : 0;
}
