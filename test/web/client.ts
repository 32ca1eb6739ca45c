// client.ts: somebody's program, written against the types that openapi-typescript makes of openapi.json: submits, lists, cancels,
// retries.  tsc checks it, so that a call or field that the document does not know is an error before anything runs.
import createClient from 'openapi-fetch';
import type { components, paths } from './api.js';

type Job = components['schemas']['Job'];
type Problem = components['schemas']['Problem'];

const client = createClient<paths>({ baseUrl: process.env.API_URL! });

function check(what: string, holds: boolean, ...more: unknown[]): void {
	console.log(`${holds ? 'ok' : 'not ok'} - ${what}`);
	if (!holds) {
		console.log(`# ${JSON.stringify(more)}`);
		process.exitCode = 1;
	}
}

// What a call answers, or an error with the problem's text.
function good<T>(answer: { data?: T; error?: Problem; response: Response }): T {
	if (answer.data === undefined)
		throw new Error(`${answer.response.url}: ${answer.response.status} ${answer.error?.detail}`);
	return answer.data;
}

async function submit(name: string, payload: Job['payload'] & object, more: Partial<components['schemas']['NewJob']> = {}): Promise<Job> {
	return good(await client.POST('/jobs', { body: { name, payload, frequency: 'once', next_run_time: 0, ...more } }));
}

// With `wait` the server answers when the job has ended.
async function ended(id: string): Promise<Job> {
	return good(await client.GET('/jobs/{id}', { params: { path: { id }, query: { wait: 30 } } }));
}

const caller = good(await client.GET('/whoami'));
check('whoami: no tokens here, so everything is allowed', caller.role === 'admin' && !caller.tokens, caller);

const echo = await submit('echo', { a: 1 }, { unique_key: 'client' });
const done = await ended(echo.id);
check('a job is submitted and succeeds', done.status === 'succeeded' && JSON.stringify(done.last_execution?.result_payload) === '{"a":1}', done);
check('the same key gives the same job', (await submit('echo', { a: 1 }, { unique_key: 'client' })).id === echo.id);

const batch = good(await client.POST('/jobs/batch', { body: { jobs: [
	{ name: 'echo', frequency: 'once', next_run_time: '2100-01-01T00:00:00Z', queue: 'later' },
	{ name: 'echo', frequency: 'once', next_run_time: 4102444800, queue: 'later', priority: 77 },
	{ name: 'echo', frequency: 'once', next_run_time: 4102444800, queue: 'later' },
] } }));
const problems = batch.jobs.flatMap((one) => ('problem' in one ? [one.problem.field] : []));
check('many are submitted, each judged by itself', batch.created === 2 && batch.failed === 1 && problems[0] === 'priority', batch);

const ids: string[] = [];
let cursor: string | null | undefined;
do {
	const page = good(await client.GET('/jobs', { params: { query: { queue: 'later', status: 'scheduled', limit: 1, cursor: cursor ?? undefined } } }));
	ids.push(...page.jobs.map((job) => job.id));
	cursor = page.next_cursor;
} while (cursor !== null);
const submitted = batch.jobs.flatMap((one) => ('id' in one ? [one.id] : []));
check('pages of a list have all of them, newest first', ids.join() === submitted.reverse().join(), ids, submitted);

const cancelled = good(await client.DELETE('/jobs/{id}', { params: { path: { id: ids[0]! } } }));
check('one is cancelled', cancelled.status === 'cancelled', cancelled);
const retried = good(await client.POST('/jobs/{id}/retry', { params: { path: { id: ids[0]! } } }));
check('and tried anew', ['scheduled', 'queued'].includes(retried.status), retried);

const failing = await submit('fail', { message: 'no luck', times: 99 }, { max_retries: 0 });
const failed = await ended(failing.id);
check('a job fails and says why', failed.status === 'failed' && failed.last_execution?.error === 'no luck', failed);
good(await client.POST('/jobs/{id}/retry', { params: { path: { id: failing.id } } }));
await ended(failing.id);
const { executions } = good(await client.GET('/jobs/{id}/executions', { params: { path: { id: failing.id } } }));
check('tried anew, it has another attempt', executions.length === 2 && executions.every((one) => one.status === 'failed'), executions);

const number = good(await client.POST('/jobs/cancel', { body: { queue: 'later', dry_run: true } }));
const all = good(await client.POST('/jobs/cancel', { body: { queue: 'later' } }));
check('the rest is cancelled at once, as many as was said before', number.jobs === 2 && all.jobs === 2 && number.dry_run && !all.dry_run, number, all);

const schedule = good(await client.PUT('/schedules/{name}', { params: { path: { name: 'a/b c' } }, body: { cron: '30 6 * * mon-fri', time_zone: 'Europe/Berlin', name: 'echo' } }));
const preview = good(await client.GET('/cron/next', { params: { query: { expr: schedule.cron, time_zone: schedule.time_zone, n: 3 } } }));
check('a schedule is made, and its times are told', preview.times.length === 3 && preview.times[0]!.at === schedule.next_run_at && preview.description === schedule.description, schedule, preview);
check('and deleted', good(await client.DELETE('/schedules/{name}', { params: { path: { name: 'a/b c' } } })).status === 'cancelled');

const unknown = await client.GET('/jobs/{id}', { params: { path: { id: '00000000-0000-7000-8000-000000000000' } } });
check('an error is a problem with its details', unknown.response.status === 404 && unknown.error?.status === 404 && unknown.error.type.endsWith(':unknown-job'), unknown.error);

// @ts-expect-error the document knows no such field
const wrong = await client.POST('/jobs', { body: { name: 'echo', frequency: 'once', next_run_time: 0, colour: 'red' } });
check('what the types refuse, the server refuses too', wrong.response.status === 422 && wrong.error?.field === 'colour', wrong.error);
