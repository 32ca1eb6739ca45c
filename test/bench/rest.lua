-- wrk's side of test/bench/rest: requests are made before the clock starts.  REST_REQUEST: post, keyed, get, batch or live; REST_IDS: a file of
-- ids; REST_ITEMS: jobs in a batch; REST_RUN: part of the keys, so that each run has its own.
local what = os.getenv('REST_REQUEST')
local items = tonumber(os.getenv('REST_ITEMS') or '500')
local run = os.getenv('REST_RUN') or '0'
local job = '{"name":"echo","payload":{"v":1},"frequency":"once","next_run_time":4102444800%s}'
local headers = { ['Content-Type'] = 'application/json' }
local requests, n, threads, me = {}, 0, 0, 0

function setup(thread)
	thread:set('me', threads)
	threads = threads + 1
end

function init()
	if what == 'get' then
		for id in io.lines(os.getenv('REST_IDS')) do
			requests[#requests + 1] = wrk.format('GET', '/jobs/' .. id)
		end
		math.randomseed(me + 1)
	elseif what == 'post' then
		requests[1] = wrk.format('POST', '/jobs', headers, job:format(''))
	elseif what == 'batch' then
		local jobs = {}
		for i = 1, items do
			jobs[i] = job:format('')
		end
		requests[1] = wrk.format('POST', '/jobs/batch', headers, '{"jobs":[' .. table.concat(jobs, ',') .. ']}')
	elseif what == 'live' then
		requests[1] = wrk.format('GET', '/healthz')
	end
end

function request()
	n = n + 1
	if what == 'get' then
		return requests[math.random(#requests)]
	elseif what == 'keyed' then
		return wrk.format('POST', '/jobs', headers, job:format(',"unique_key":"' .. run .. '-' .. me .. '-' .. n .. '"'))
	end
	return requests[1]
end

function done(summary, latency)
	local e = summary.errors
	print(string.format('{"requests":%d,"seconds":%f,"p50_ms":%.2f,"p99_ms":%.2f,"max_ms":%.2f,"errors":%d}', summary.requests, summary.duration / 1e6,
		latency:percentile(50) / 1000, latency:percentile(99) / 1000, latency.max / 1000,
		e.status + e.connect + e.read + e.write + e.timeout))
end
