// poll.js: asks again and again, not while the page is hidden, and less often while there is no answer.

const LONGEST = 30000;

// poll({load(signal), show(answer), refuse(problem), connected(problem or null, when), every()}) -> {now(), stop()}
//   refuse: the server has answered that it will not; connected: it has answered, or why not and when it is asked again;
//   every: milliseconds until the next time
export function poll({ load, show, refuse, connected, every }) {
	let timer = null;
	let running = null;
	let failures = 0;
	let again = false;
	let stopped = false;

	const later = (delay) => {
		clearTimeout(timer);
		timer = setTimeout(round, delay);
	};

	async function round() {
		clearTimeout(timer);
		timer = null;
		if (stopped || document.hidden)
			return;
		if (running) {
			again = true;
			return;
		}
		running = new AbortController();
		let delay;
		try {
			const answer = await load(running.signal);
			if (stopped)
				return;
			failures = 0;
			connected(null);
			show(answer);
			delay = every();
		} catch (problem) {
			if (stopped || problem.name === 'AbortError')
				return;
			if (problem.passing) {
				delay = Math.min(LONGEST, 1000 * 2 ** Math.min(failures++, 5)) * (0.8 + 0.4 * Math.random());
				connected(problem, Date.now() + delay);
			} else if (problem.status > 0) {
				failures = 0;
				delay = 10000;
				connected(null);
				refuse(problem);
			} else {
				throw problem; // ours
			}
		} finally {
			running = null;
		}
		if (again)
			delay = 0;
		again = false;
		later(delay);
	}

	const visible = () => {
		if (!document.hidden)
			round();
		else
			clearTimeout(timer);
	};
	document.addEventListener('visibilitychange', visible);
	round();
	return {
		now() {
			round();
		},
		stop() {
			stopped = true;
			clearTimeout(timer);
			running?.abort();
			document.removeEventListener('visibilitychange', visible);
		},
	};
}
