// dashboard.mjs: people at the dashboard and at /docs.  What 095_dashboard.pl has prepared comes in the environment: API_URL
// (everybody may do everything), TOKENS_URL and TOKEN_VIEWER, TOKEN_SUBMITTER, TOKEN_ADMIN; the task gate
// ends when the file GATE is there; screenshots go to SCREENSHOTS.
import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { readFileSync, writeFileSync } from 'node:fs';
import { end, expectComplaint, openBrowser, openPage, step, until } from './browser.mjs';

const { API_URL: url, TOKENS_URL: guarded, SCREENSHOTS: shots, GATE: gate, TOKEN_VIEWER: viewer, TOKEN_SUBMITTER: submitter, TOKEN_ADMIN: admin } = process.env;
const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

async function rest(method, path, body) {
	const answer = await fetch(url + path, { method, headers: { 'Content-Type': 'application/json' }, body: body && JSON.stringify(body) });
	assert.ok(answer.ok, `${method} ${path}: ${answer.status}`);
	return answer.json();
}
const later = () => Date.now() / 1000 + 86400;
const once = (name, payload, more = {}) => rest('POST', '/jobs', { name, payload, frequency: 'once', next_run_time: 0, ...more });

const browser = await openBrowser();
const page = await openPage(browser, { url });
const title = () => page.locator('#main .title');
const hasStatus = (status) => title().locator('.badge', { hasText: new RegExp(`^${status}$`) }).waitFor();
const press = (name) => page.locator('#main').getByRole('button', { name, exact: true }).click();
const confirm = (name) => page.getByRole('dialog').getByRole('button', { name }).click();
const told = (text) => page.locator('#messages').getByText(text).first().waitFor();
const row = (text) => page.locator('#main tbody tr', { hasText: text });
let id;

// ---- one job ----

await step('a job is submitted at /docs', async () => {
	await page.goto('/docs');
	const operation = page.locator('#operations-jobs-submitJob');
	await operation.locator('.opblock-summary-control').click();
	await operation.locator('textarea').last().fill(JSON.stringify({ name: 'gate', payload: {}, frequency: 'once', next_run_time: 0 }));
	await operation.getByRole('button', { name: 'Execute' }).click();
	const answer = operation.locator('.live-responses-table').first();
	await answer.getByText('201').first().waitFor();
	[, id] = (await answer.innerText()).match(/"id": "([0-9a-f-]{36})"/);
});

await step('the dashboard shows that it runs, and then, without being touched, that it has succeeded', async () => {
	await page.goto('/');
	await page.locator('.tile', { hasText: 'Running' }).locator('.value', { hasText: /^[1-9]/ }).waitFor();
	await page.locator('.u-over').first().waitFor(); // a chart is drawn
	await page.getByRole('link', { name: 'Jobs', exact: true }).click();
	const mine = row(`${id.slice(0, 8)}…${id.slice(-4)}`);
	await mine.getByText('running', { exact: true }).waitFor();
	await mine.getByRole('link').click();
	await hasStatus('running');
	await page.getByText('started or about to start').waitFor(); // the explanation
	writeFileSync(gate, '');
	await hasStatus('succeeded');
	await page.locator('.timeline').getByText('Attempt 1').waitFor();
	assert.equal(await page.evaluate(() => document.title), 'gate succeeded · jobsched');
});

await step('a running job, submitted with the form, is cancelled', async () => {
	await page.getByRole('link', { name: 'New job' }).click();
	await page.getByLabel('Task').fill('sleep');
	await page.getByLabel('Payload').fill('{"seconds": 600}');
	await press('Submit');
	await hasStatus('running');
	await press('Cancel');
	await confirm('Leave it');
	assert.equal(await page.locator('.message', { hasNotText: /is (scheduled|queued|running)/ }).count(), 0); // nothing was done
	await press('Cancel');
	await confirm('Cancel it');
	await hasStatus('cancelled');
	await page.locator('.timeline .badge', { hasText: 'cancelled' }).waitFor();
});

await step('a browser whose clock is two hours ahead: now is now, also there', async () => {
	const other = await openPage(browser, { url });
	await other.clock.setSystemTime(Date.now() + 7200000);
	await other.goto('/#/submit');
	await other.getByLabel('Task').fill('echo');
	await other.locator('#main').getByRole('button', { name: 'Submit' }).click();
	await other.locator('.title .badge', { hasText: 'succeeded' }).waitFor();
	assert.match(await other.locator('.facts time').first().innerText(), /(now|\d s ago)$/);
	await other.context().close();
});

await step('a form says at the field what is wrong', async () => {
	expectComplaint(/422/);
	await page.getByRole('link', { name: 'New job' }).click();
	await page.getByLabel('Payload').fill('{"seconds": ');
	await press('Submit');
	await page.locator('.field', { hasText: 'Payload' }).locator('.wrong').waitFor();
	await page.getByLabel('Payload').fill('{}');
	await page.getByLabel('Task').fill('echo');
	await page.getByText('More', { exact: true }).click();
	await page.getByLabel('Priority').fill('77');
	await press('Submit');
	await page.locator('.field', { hasText: 'Priority' }).getByText('77 is out of range 0..9').waitFor();
	assert.equal(await page.evaluate(() => document.activeElement.name), 'priority');
});

await step('a failed job is found, read and retried', async () => {
	const error = 'broken <b>pipe</b> <img src=x onerror="document.title=1">';
	const { id: failing } = await once('fail', { message: error, times: 99 }, { max_retries: 0 });
	await until('it fails', async () => (await rest('GET', `/jobs/${failing}`)).status === 'failed');
	await page.goto('/#/jobs');
	await page.getByLabel('Status').focus();
	await page.getByLabel('Status').selectOption('failed');
	await page.waitForURL(/status=failed/);
	assert.equal(await page.evaluate(() => document.activeElement.name), 'status'); // the focus stays at the filter
	await row('broken <b>pipe</b>').getByRole('link').click();
	await hasStatus('failed');
	await page.locator('pre.error').getByText(error).waitFor(); // as text
	assert.equal(await page.locator('#main img, #main b').count(), 0);
	await press('Retry');
	await told('It is tried anew');
	await until('another attempt', async () => await page.locator('.timeline > li').count() === 2);
	await hasStatus('failed');
});

await step('a job is paused, resumed, made due now and run again', async () => {
	const { id: waiting } = await once('echo', { a: 1 }, { next_run_time: later() });
	await page.goto(`/#/jobs/${waiting}`);
	await hasStatus('scheduled');
	await press('Pause');
	await hasStatus('paused');
	await press('Resume');
	await hasStatus('scheduled');
	await press('Run now');
	await hasStatus('succeeded');
	await page.locator('.timeline').getByText('"a": 1').waitFor(); // its result
	await page.locator('.timeline summary').click();
	for (let looks = 0; looks < 2; looks++)
		await page.waitForResponse(/\/executions/);
	assert.equal(await page.locator('.timeline details').evaluate((node) => node.open), false); // it stays closed
	await press('Run again');
	await until('the second run', async () => await page.locator('.timeline > .is-succeeded').count() === 2);
});

const saves = async (where, link) => {
	const [download] = await Promise.all([where.waitForEvent('download'), link.click()]);
	assert.match(readFileSync(await download.path(), 'utf8'), /swagger-ui/);
};
let crawl;

await step('an artifact can be saved', async () => {
	crawl = await once('crawl_url', { url: `${url}/docs` });
	await page.goto(`/#/jobs/${crawl.id}`);
	await hasStatus('succeeded');
	await saves(page, page.locator('.artifacts a').first());
});

// ---- queues, schedules, many at once ----

await step('a queue is paused and resumed', async () => {
	await page.getByRole('link', { name: 'Queues', exact: true }).click();
	await page.getByRole('button', { name: 'Pause queue jobs' }).click();
	await row('jobs').getByText('paused').waitFor();
	const { id: held } = await once('echo', {});
	await row('jobs').locator('[data-label="Due"]', { hasText: '1' }).waitFor();
	assert.equal((await rest('GET', `/jobs/${held}`)).status, 'scheduled');
	await page.getByRole('button', { name: 'Resume queue jobs' }).click();
	await row('jobs').getByText('open').waitFor();
	await until('it runs', async () => (await rest('GET', `/jobs/${held}`)).status === 'succeeded');
});

await step('a schedule is made with a preview, paused, resumed, run, changed and deleted', async () => {
	expectComplaint(/422/); // expressions that are not finished
	await page.getByRole('link', { name: 'Schedules', exact: true }).click();
	await page.getByRole('link', { name: 'New schedule' }).click();
	await page.getByLabel('Name of the schedule').fill('night/ly');
	await page.getByLabel('Task').fill('echo');
	await page.getByLabel('Cron expression').fill('30 2 * *');
	await page.locator('.preview .wrong').waitFor();
	await page.getByLabel('Cron expression').fill('30 2 * * mon');
	await page.getByLabel('Time zone').fill('Europe/Berlin');
	await page.locator('.preview').getByText('at 02:30, on Monday').waitFor();
	await until('five times', async () => await page.locator('.preview li').count() === 5);
	await page.getByLabel('When the last run is not over').selectOption('queue_one');
	await press('Make');
	const mine = row('night/ly');
	const action = (name) => mine.getByRole('button', { name: `${name}: night/ly` });
	await mine.getByText('scheduled', { exact: true }).waitFor();
	assert.equal(await mine.locator('.times li').count(), 5);
	await action('Pause').click();
	await mine.getByText('paused', { exact: true }).waitFor();
	await action('Resume').click();
	await mine.getByText('scheduled', { exact: true }).waitFor();
	await action('Run now').click();
	await mine.getByText('succeeded').waitFor();
	await mine.getByRole('link', { name: 'Edit' }).click();
	await page.getByLabel('Payload').fill('{"changed": true}');
	await press('Change');
	await mine.waitFor();
	const one = await rest('GET', '/schedules/night%2Fly');
	assert.deepEqual([one.payload, one.overlap_policy, one.time_zone, one.cron], [{ changed: true }, 'queue_one', 'Europe/Berlin', '30 2 * * mon']);
	await action('Delete').click();
	await confirm('Delete it');
	await mine.waitFor({ state: 'detached' });
});

await step('many jobs are cancelled at once, after a number was shown', async () => {
	const many = Array.from({ length: 7 }, () => ({ name: 'echo', frequency: 'once', next_run_time: later(), queue: 'bulk' }));
	await rest('POST', '/jobs/batch', { jobs: many });
	await page.goto('/#/jobs');
	assert.equal(await page.getByRole('button', { name: 'Cancel all…' }).getAttribute('aria-disabled'), 'true');
	await page.getByLabel('Queue').fill('bulk');
	await press('Filter');
	await press('Cancel all…');
	await page.getByRole('dialog').getByText('Cancel 7 jobs?').waitFor();
	await page.keyboard.press('Escape');
	await page.getByRole('dialog').waitFor({ state: 'detached' });
	assert.equal((await rest('GET', '/jobs?queue=bulk&status=scheduled')).jobs.length, 7);
	await press('Cancel all…');
	await confirm('Cancel 7 jobs');
	await told('7 jobs cancelled.');
	await until('all are shown so', async () => await page.locator('tbody .is-cancelled').count() === 7);
	await press('Retry all…');
	await confirm('Retry 7 jobs');
	await told('7 jobs to be tried anew.');
});

await step('no more jobs are tried anew than were counted, though they fail again at once', async () => {
	const asked = [];
	await page.route('**/jobs/retry', (route) => {
		const { limit, dry_run: dryRun } = route.request().postDataJSON();
		asked.push(limit);
		return route.fulfill({ json: { jobs: Math.min(limit, 25000), dry_run: Boolean(dryRun) } });
	});
	await page.goto('/#/jobs?status=failed');
	await press('Retry all…');
	await confirm('Retry 25,000 jobs');
	await told('25,000 jobs to be tried anew.');
	assert.deepEqual(asked, [100000, 10000, 10000, 5000]);
	await page.unroute('**/jobs/retry');
});

await step('pages of a list, there and back', async () => {
	await rest('POST', '/jobs/batch', { jobs: Array.from({ length: 120 }, () => ({ name: 'page', frequency: 'once', next_run_time: later(), queue: 'pages' })) });
	await page.goto('/#/jobs?queue=pages');
	const first = () => page.locator('tbody .id').first().innerText();
	const rows = (n) => until(`${n} rows`, async () => await page.locator('tbody tr').count() === n);
	await rows(50);
	const top = await first();
	await page.getByRole('link', { name: 'Older' }).click();
	await until('the second page', async () => (await first().catch(() => top)) !== top);
	await page.getByRole('link', { name: 'Older' }).click();
	await rows(20);
	await page.getByRole('link', { name: 'Newer' }).click();
	await rows(50);
	await page.goBack();
	await rows(20);
	await page.getByRole('link', { name: 'Newest' }).click();
	await until('the first page', async () => (await first().catch(() => '')) === top);
});

// ---- how it behaves ----

await step('focus, selection and scrolling stay while it is brought up to date', async () => {
	await page.goto('/#/jobs?queue=pages');
	await page.locator('tbody a').nth(30).focus();
	const before = await page.evaluate(() => {
		const cell = document.querySelectorAll('tbody .id')[30];
		getSelection().selectAllChildren(cell);
		window.cell = cell;
		return [document.activeElement.href, String(getSelection()), scrollY];
	});
	await rest('POST', '/jobs', { name: 'one more', frequency: 'once', next_run_time: later(), queue: 'pages' });
	await page.locator('tbody').getByText('one more').waitFor();
	const after = await page.evaluate(() => [document.activeElement.href, String(getSelection()), window.cell.isConnected]);
	assert.deepEqual(after, [before[0], before[1], true]);
});

await step('a tab that is hidden does not ask', async () => {
	await page.goto('/#/queues');
	await row('jobs').waitFor();
	const asked = [];
	page.on('request', (request) => asked.push(request.url()));
	await until('it asks', () => asked.length > 0);
	const hide = (hidden) => page.evaluate((value) => {
		Object.defineProperty(document, 'hidden', { value, configurable: true });
		document.dispatchEvent(new Event('visibilitychange'));
	}, hidden);
	await hide(true);
	await page.waitForLoadState('networkidle');
	asked.length = 0;
	await page.waitForTimeout(5000); // that nothing happens can only be seen by waiting
	assert.deepEqual(asked, []);
	await hide(false);
	await until('it asks again', () => asked.length > 0);
});

await step('it says when the server does not answer, keeps what it shows, and goes on by itself', async () => {
	expectComplaint(/ERR_INTERNET_DISCONNECTED/);
	await page.context().setOffline(true);
	await page.locator('#connection').getByText('Not connected').waitFor();
	assert.ok(await row('jobs').isVisible());
	await page.context().setOffline(false);
	await page.locator('#connection').waitFor({ state: 'hidden' });
});

await step('what is not there: a job, a view', async () => {
	expectComplaint(/404/);
	await page.goto('/#/jobs/00000000-0000-7000-8000-000000000000');
	await page.locator('.problem').waitFor();
	await page.goto('/#/nowhere');
	await page.getByText('There is nothing here').waitFor();
});

await step('the theme: as the system, or as chosen, also after loading again', async () => {
	const ground = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
	const light = await ground();
	await page.emulateMedia({ colorScheme: 'dark' });
	await until('it is dark', async () => await ground() !== light);
	const dark = await ground();
	await page.getByRole('button', { name: 'Change to: light' }).click();
	assert.equal(await ground(), light);
	await page.reload();
	assert.equal(await ground(), light);
	await page.getByRole('button', { name: 'Change to: dark' }).click();
	await page.emulateMedia({ colorScheme: 'light' });
	assert.equal(await ground(), dark);
	await page.reload();
	assert.equal(await ground(), dark);
	await page.getByRole('button', { name: 'Change to: as the system' }).click();
	assert.equal(await ground(), light);
});

await step('the keyboard: the content is one press away, and a question gives the focus back', async () => {
	await page.goto('/');
	await page.reload();
	await page.locator('.tile').first().waitFor();
	await page.keyboard.press('Tab');
	await page.keyboard.press('Enter');
	assert.equal(await page.evaluate(() => document.activeElement.id), 'main');
	const { id: sleeping } = await once('sleep', { seconds: 600 });
	await page.goto(`/#/jobs/${sleeping}`);
	await hasStatus('running');
	const cancel = page.getByRole('button', { name: 'Cancel', exact: true });
	await cancel.focus();
	await page.keyboard.press('Enter');
	await page.getByRole('dialog').waitFor();
	await page.keyboard.press('Escape');
	await page.getByRole('dialog').waitFor({ state: 'detached' });
	assert.ok(await cancel.evaluate((node) => node === document.activeElement));
});

// ---- tokens and roles ----

const signIn = async (other, token) => {
	await other.getByLabel('Token').fill(token);
	await other.getByRole('button', { name: 'Sign in' }).click();
};

await step('with tokens it asks for one, and a role sees the buttons that it may press', async () => {
	const other = await openPage(browser, { url: guarded });
	expectComplaint(/401/);
	await other.goto('/#/queues');
	await signIn(other, 'a token that nobody has');
	await other.getByText('This token is not known here.').waitFor();
	for (const [token, steers, pauses] of [[viewer, 0, 0], [submitter, 1, 0], [admin, 1, 1]]) {
		await signIn(other, token);
		await other.locator('tbody tr', { hasText: 'jobs' }).waitFor();
		assert.equal(await other.getByRole('link', { name: 'New job' }).count(), steers);
		assert.equal(await other.getByRole('button', { name: 'Pause queue jobs' }).count(), pauses);
		await other.reload();
		await other.locator('tbody tr', { hasText: 'jobs' }).waitFor(); // the tab remembers
		assert.equal(await other.evaluate(() => JSON.stringify([localStorage, document.cookie])), '[{},""]');
		await other.goto(`/#/jobs/${crawl.id}`);
		await saves(other, other.locator('.artifacts a').first());
		await other.route('**/artifacts/**', (route) => route.fulfill({ json: { url: `${guarded}/docs` } })); // as with an S3 server
		await saves(other, other.locator('.artifacts a').first());
		assert.equal(await other.getByRole('button', { name: 'Run again' }).count(), steers);
		await other.goto('/#/queues');
		await other.getByRole('button', { name: 'Sign out' }).click();
		await other.getByLabel('Token').waitFor();
	}
	await other.context().close();
});

await step('a token that is taken away leads back to signing in', async () => {
	expectComplaint(/401/);
	const other = await openPage(browser, { url: guarded });
	await other.goto('/');
	await signIn(other, viewer);
	await other.locator('.tile').first().waitFor();
	await other.evaluate(() => sessionStorage.setItem('jobsched.token', 'x'.repeat(30)));
	await other.reload();
	await other.getByText('This token is not known here.').waitFor();
	await other.context().close();
});

// ---- how it looks ----

const { jobs: [failedJob] } = await rest('GET', '/jobs?status=failed&limit=1');
await rest('PUT', '/schedules/morning%20report', { cron: '30 6 * * mon-fri', time_zone: 'Europe/Berlin', name: 'echo', payload: { report: 'morning' } });
const views = {
	overview: '#/', jobs: '#/jobs', job: `#/jobs/${failedJob.id}`, schedules: '#/schedules', schedule: '#/schedule', queues: '#/queues', workers: '#/workers', submit: '#/submit',
};

// In the page: the elements that reach over its right edge, but for what can be scrolled there.
function tooWide() {
	const edge = document.documentElement.clientWidth + 0.5;
	const scrolls = (node) => node !== document.body && node !== document.documentElement
		&& (/auto|scroll|hidden/.test(getComputedStyle(node).overflowX) || scrolls(node.parentElement));
	return [...document.querySelectorAll('body *')].filter((node) => node.getBoundingClientRect().right > edge && !scrolls(node)).map((node) => node.outerHTML.slice(0, 100));
}

for (const [name, size] of Object.entries({ light: { width: 1280, scheme: 'light' }, dark: { width: 1280, scheme: 'dark' }, phone: { width: 360, height: 740, scheme: 'light' } })) {
	await step(`${name}: nothing overflows, and axe finds nothing`, async () => {
		const other = await openPage(browser, { url, ...size });
		const wrong = [];
		await other.goto('/');
		await other.evaluate(axe);
		for (const [view, hash] of Object.entries(views)) {
			await other.evaluate((to) => { location.hash = to; }, hash);
			await other.waitForLoadState('networkidle');
			await other.locator('#main').locator('table, form, .tile, .timeline').first().waitFor();
			await other.screenshot({ path: `${shots}/${name}-${view}.png`, fullPage: name !== 'phone' });
			wrong.push(...(await other.evaluate(tooWide)).map((what) => `${view}: too wide: ${what}`));
			const { violations } = await other.evaluate(() => window.axe.run({ resultTypes: ['violations'] }));
			for (const { id: rule, impact, nodes } of violations)
				wrong.push(`${view}: ${rule} (${impact}): ${nodes.map((node) => `${node.html} ${node.failureSummary}`).slice(0, 3).join('\n')}`);
		}
		await other.context().close();
		assert.deepEqual(wrong, []);
	});
}

await browser.close();
end();
