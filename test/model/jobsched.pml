/*
 * The protocol of jobsched: timers -> dispatches -> job_executions.
 *
 * One `atomic` is one statement (or one commit) of Postgres; everything between
 * two of them may interleave with anything.  A statement that looks at two
 * tables is two steps where it matters: its snapshot, then its commit.
 *
 * Without flags the model is the protocol as it is built, with the guards that README.md lists.
 * -DD_x takes one that is easily left out away, -DM_x drops a guard;
 * each must make some assertion fail (see `mutants`).
 *
 * Sizes and faults are set with -D as well: NR runs, CRON (the runs are the
 * nominal times of one cron job, else NR once jobs), ND dispatch slots, WIN,
 * NF faults (of any kind that F_x switches on, in any order, at any step).
 */
#ifndef NR
#define NR 2
#endif
#ifndef ND
#define ND 2
#endif
#ifndef WIN
#define WIN 2
#endif
#ifdef F_BROKER
#define F_CONFIRM
#define F_PURGE
#define F_NODE
#define F_DUP
#endif
#ifndef NF
#define NF 2
#endif
#ifndef MAXR
#define MAXR 1			/* max_retries */
#endif
#ifndef LOSSLIM
#define LOSSLIM 2		/* losses that end a run as failed (worker_lost) */
#endif
#define NW 2
#define GONE NW			/* a worker instance that will never beat again */

#define B(i) (1 << (i))
#define ALL (B(NR) - 1)
#ifdef CRON
#define OFJOB ALL		/* runs of the job that is cancelled */
#else
#define OFJOB 1
#endif

/* dispatches.status */
#define FREE 0			/* no row */
#define QUEUED 1
#define CLAIMED 2
/* final status of a run */
#define SUCCEEDED 1
#define FAILED 2
#define CANCELLED 3
#define EXPIRED 4
/* what a worker is doing */
#define IDLE 0
#define CLAIMING 1		/* claim sent; its snapshot is taken */
#define DOUBT 2			/* claim sent, answer lost */
#define HOLDS 3			/* claim answered */
#define FINISHING 4		/* finish sent */
#define RELEASING 5		/* release sent */

/* Everything that Postgres stores. */
typedef Db {
	byte timers;		/* runs with a timers row */
	byte made;		/* runs accepted (once) or created (cron) */
	byte promoted;		/* nominal times promoted: schedules.last_run_at */
	byte cancelled;		/* runs whose jobs.state = 'cancelled' */
	byte told;		/* runs for which cancel() returned 'cancelled' */
	byte attempt[NR];
	byte failures[NR];
	byte losses[NR];
	byte rows[NR];		/* job_executions: attempts that have a row */
	byte started[NR];	/* not stored: attempts whose task began, as long as the claim is kept */
	byte final[NR];
	byte status[ND];
	byte runs[ND];
	byte done[ND];
	byte worker[ND];
	byte token[ND];
#ifdef EXPIRE
	bit expiry		/* run 0 has a row in expiries */
#endif
};
Db db;				/* what a statement sees */
Db disk;			/* what survives a crash (or: what the standby has) */

bit fresh[NW];			/* workers.last_seen is within the lease */
bit stalled[NW];		/* its lease ended because the worker stood still */
bit grace;			/* scheduler started: no rescue yet */
byte msgs[ND];			/* broker: messages, in no order */
bit confirmed[ND];		/* scheduler's memory */
byte faults = NF;

/* Workers' memory. */
byte ws[NW];
byte wd[NW];			/* dispatch */
byte wt[NW];			/* claim_token, 0 none */
byte wtodo[NW];			/* runs not started */
byte wrun[NW];			/* 1 + run being executed, 0 none */
byte wok[NW];			/* ended, not yet recorded */
byte wbad[NW];
byte wsnap[NW];			/* jobs.state as the statement in flight sees it */
byte gd[NW];			/* a claim sent on a dead connection, not yet executed */
byte gt[NW];
bit over;
bit locked;			/* cancel's lock on the jobs row */
bit late;			/* expires_at of run 0 has come */
byte i_, j_, t_;		/* scratch, always 0 between steps */
byte x_, y_;

#define HAS(d, r) (db.status[d] != FREE && (db.runs[d] & ~db.done[d] & B(r)))

#define ONE(c) ((c) -> 1 : 0)
#if ND == 1
#define PLACES(r) ONE(db.timers & B(r)) + ONE(HAS(0, r)) + ONE(db.final[r])
#elif ND == 2
#define PLACES(r) ONE(db.timers & B(r)) + ONE(HAS(0, r)) + ONE(HAS(1, r)) + ONE(db.final[r])
#else
#define PLACES(r) ONE(db.timers & B(r)) + ONE(HAS(0, r)) + ONE(HAS(1, r)) + ONE(HAS(2, r)) + ONE(db.final[r])
#endif

/* The commit of a transaction; a synchronous one makes all earlier ones durable. */
inline copy(to, from)
{
	to.timers = from.timers; to.made = from.made; to.promoted = from.promoted;
	to.cancelled = from.cancelled; to.told = from.told;
	j_ = 0;
	do
	:: j_ < NR ->
		to.attempt[j_] = from.attempt[j_]; to.failures[j_] = from.failures[j_];
		to.losses[j_] = from.losses[j_]; to.rows[j_] = from.rows[j_]; to.started[j_] = from.started[j_];
		to.final[j_] = from.final[j_]; j_++
	:: else -> break
	od;
	j_ = 0;
	do
	:: j_ < ND ->
		to.status[j_] = from.status[j_]; to.runs[j_] = from.runs[j_];
		to.done[j_] = from.done[j_]; to.worker[j_] = from.worker[j_];
		to.token[j_] = from.token[j_]; j_++
	:: else -> break
	od;
#ifdef EXPIRE
	to.expiry = from.expiry;
#endif
	j_ = 0
}

inline clear_disk()
{
	disk.timers = 0; disk.made = 0; disk.promoted = 0; disk.cancelled = 0; disk.told = 0;
	j_ = 0;
	do
	:: j_ < NR ->
		disk.attempt[j_] = 0; disk.failures[j_] = 0; disk.losses[j_] = 0; disk.rows[j_] = 0; disk.started[j_] = 0; disk.final[j_] = 0; j_++
	:: else -> break
	od;
	j_ = 0;
	do
	:: j_ < ND ->
		disk.status[j_] = 0; disk.runs[j_] = 0; disk.done[j_] = 0; disk.worker[j_] = 0; disk.token[j_] = 0; j_++
	:: else -> break
	od;
#ifdef EXPIRE
	disk.expiry = 0;
#endif
	j_ = 0
}

/* (a) an accepted run is in exactly one place; (c) so is a nominal time; (g) the window */
inline check_places()
{
	j_ = 0; y_ = 0;
	do
	:: j_ < NR ->
		x_ = PLACES(j_);
		assert(x_ == ((db.made & B(j_)) -> 1 : 0));
		j_++
	:: else -> break
	od;
	j_ = 0;
	do
	:: j_ < ND -> y_ = y_ + (db.status[j_] == QUEUED -> 1 : 0); j_++
	:: else -> break
	od;
	assert(y_ <= WIN);
	j_ = 0; x_ = 0; y_ = 0
}

inline commit_sync()
{
	check_places();
#if defined(F_CRASH) && !defined(FAILOVER)
	if :: faults -> copy(disk, db) :: else fi
#endif
}
inline commit_async()
{
	check_places();
#if !defined(F_CRASH)
	skip
#endif
}
#ifdef M_FINISH_ASYNC
#define commit_finish commit_async
#else
#define commit_finish commit_sync
#endif

/* (b) at most one row for an attempt, at most one final row for a run */
inline execution(erun)
{
	assert(!(db.rows[erun] & B(db.attempt[erun])));
	db.rows[erun] = db.rows[erun] | B(db.attempt[erun])
}
inline final_row(frun, fstat)
{
	execution(frun);
	assert(db.final[frun] == 0);
	db.final[frun] = fstat
}
inline timer(trun)
{
	assert(!(db.timers & B(trun)));
	db.timers = db.timers | B(trun)
}
inline drop_dispatch(gone)
{
	db.status[gone] = FREE; db.runs[gone] = 0; db.done[gone] = 0;
	db.worker[gone] = 0; db.token[gone] = 0; confirmed[gone] = 0;
#ifdef M_DISPATCH_ID_COMES_BACK
	skip
#else
	/* an id is never used twice, so a late claim of this one finds no row */
	if :: gt[0] && gd[0] == gone -> gt[0] = 0; gd[0] = 0 :: else fi;
	if :: gt[1] && gd[1] == gone -> gt[1] = 0; gd[1] = 0 :: else fi
#endif
}
inline mask(mdis, mrun)
{
	db.done[mdis] = db.done[mdis] | B(mrun)
}
inline drop_if_done(fdis)
{
	if
	:: db.status[fdis] != FREE && (db.runs[fdis] & ~db.done[fdis]) == 0 -> drop_dispatch(fdis)
	:: else
	fi
}
inline forget(fwrk)
{
	ws[fwrk] = IDLE; wd[fwrk] = 0; wt[fwrk] = 0; wtodo[fwrk] = 0; wrun[fwrk] = 0;
	wok[fwrk] = 0; wbad[fwrk] = 0; wsnap[fwrk] = 0
}
#define MINE(w) (db.status[wd[w]] == CLAIMED && db.token[wd[w]] == wt[w])

/* A random token: any that nobody has or remembers. */
#define USED(t) (wt[0] == t || wt[1] == t || gt[0] == t || gt[1] == t || \
	db.token[0] == t || disk.token[0] == t || db.token[ND-1] == t || disk.token[ND-1] == t || \
	db.token[ND/2] == t || disk.token[ND/2] == t)
/* ---------------------------------------------------------------- scheduler */

/* timers deleted, dispatch inserted, next cron timer inserted: one commit */
inline put_in(pdis, prun)
{
	db.timers = db.timers & ~B(prun);
	db.runs[pdis] = db.runs[pdis] | B(prun)
#ifdef CRON
	;
	if
#ifdef D_NEXT_BY_ATTEMPT
	:: db.attempt[prun] == 1 ->
#else
	:: db.attempt[prun] == 1 && !(db.promoted & B(prun)) ->
#endif
		db.promoted = db.promoted | B(prun);
#ifndef M_CRON_TWO_TX
		if
		:: prun + 1 < NR -> timer(prun + 1); db.made = db.made | B(prun + 1); db.attempt[prun + 1] = 1
		:: else
		fi
#else
		owed = prun + 1
#endif
	:: else
	fi
#endif
}

#define DUE(r) (db.timers & B(r))
#ifdef D_PROMOTE_SKIPS_CANCELLED
#define STOPPED(r) (db.cancelled & B(r))
#define CANPROMOTE (db.timers & ~db.cancelled)
#else
#define STOPPED(r) 0		/* promote does not read jobs: a timer that came back after cancel ends at claim */
#define CANPROMOTE db.timers
#endif
#ifdef M_NO_WINDOW
#define OPEN(d) (db.status[d] == FREE)
#else
#define NQ ((db.status[0] == QUEUED -> 1 : 0) + (ND > 1 && db.status[ND-1] == QUEUED -> 1 : 0) + \
	(ND > 2 && db.status[ND/2] == QUEUED -> 1 : 0))
#define OPEN(d) (db.status[d] == FREE && NQ < WIN)
#endif
#ifdef D_LOST_STAY_TOGETHER
#define ALONE(r) 0
#else
#define ALONE(r) (db.losses[r] > 0)
#endif
#ifdef M_RESCUE_TWO_STEP
#define LEASE_OVER(d) (db.status[d] == CLAIMED)
#elif defined(M_RESCUE_NO_LEASE)
#define LEASE_OVER(d) (db.status[d] == CLAIMED && db.worker[d] != GONE)
#else
#define LEASE_OVER(d) (db.status[d] == CLAIMED && (db.worker[d] == GONE || !fresh[db.worker[d]]))
#endif
#define HANDS(d) ((ws[0] == CLAIMING || ws[0] == DOUBT) && wd[0] == d || \
	(ws[1] == CLAIMING || ws[1] == DOUBT) && wd[1] == d)

/* the unfinished runs: row `lost` and a new timer, or the end */
inline rescue(rdis, unfinished)
{
	i_ = 0;
	do
	:: i_ < NR && ((unfinished) & B(i_)) ->
		db.losses[i_]++;
		assert(db.losses[i_] <= LOSSLIM);	/* (f) */
		if
#ifndef D_RESCUE_IGNORES_CANCEL
		:: db.cancelled & B(i_) -> final_row(i_, CANCELLED)
#endif
#ifndef M_NO_LOSS_LIMIT
		:: else ->
			if
			:: db.losses[i_] >= LOSSLIM ->
#ifdef POISON
				assert(i_ == POISON);
#endif
				final_row(i_, FAILED)
			:: else -> execution(i_); timer(i_); db.attempt[i_]++
			fi
#else
		:: else -> execution(i_); timer(i_); db.attempt[i_]++
#endif
		fi;
		i_++
	:: i_ < NR && !((unfinished) & B(i_)) -> i_++
	:: i_ >= NR -> break
	od;
	i_ = 0;
	drop_dispatch(rdis)
}

active proctype scheduler()
{
	byte d, r, seen;
#ifdef M_CRON_TWO_TX
	byte owed;
#endif
end:	do
	:: atomic { !over && CANPROMOTE && (OPEN(0) || ND > 1 && OPEN(ND-1) || ND > 2 && OPEN(ND/2)) ->	/* promote */
		if
		:: OPEN(0) -> d = 0
#if ND > 1
		:: !(OPEN(0)) && OPEN(1) -> d = 1
#endif
#if ND > 2
		:: !(OPEN(0)) && !(OPEN(1)) && OPEN(2) -> d = 2
#endif
		fi;
		if
		:: DUE(0) && !STOPPED(0) -> r = 0
#if NR > 1
		:: DUE(1) && !STOPPED(1) -> r = 1
#endif
#if NR > 2
		:: DUE(2) && !STOPPED(2) -> r = 2
#endif
		fi;
		db.status[d] = QUEUED; put_in(d, r); confirmed[d] = 0;
		if
		:: true
#if NR > 1 && !defined(CRON)
		:: !ALONE(r) && DUE(1 - r) && !STOPPED(1 - r) && !ALONE(1 - r) -> put_in(d, 1 - r)
#endif
		fi;
		commit_async();
		d = 0; r = 0 }
#ifdef M_CRON_TWO_TX
	:: atomic { owed ->
		if
		:: owed < NR -> timer(owed); db.made = db.made | B(owed); db.attempt[owed] = 1
		:: else
		fi;
		owed = 0; commit_async() }
#endif
	:: atomic { !over && (db.status[0] == QUEUED && !confirmed[0] ||	/* publish */
			ND > 1 && db.status[ND-1] == QUEUED && !confirmed[ND-1] ||
			ND > 2 && db.status[ND/2] == QUEUED && !confirmed[ND/2]) ->
		if
		:: db.status[0] == QUEUED && !confirmed[0] -> d = 0
#if ND > 1
		:: db.status[1] == QUEUED && !confirmed[1] -> d = 1
#endif
#if ND > 2
		:: db.status[2] == QUEUED && !confirmed[2] -> d = 2
#endif
		fi;
		if
		:: msgs[d] = (msgs[d] < 2 -> msgs[d] + 1 : 2); confirmed[d] = 1
#ifdef F_CONFIRM
		:: faults -> faults--;		/* confirm lost: published again later */
			msgs[d] = (msgs[d] < 2 -> msgs[d] + 1 : 2)
#ifdef M_NO_UNCONFIRMED
			; confirmed[d] = 1
#endif
		:: faults -> faults--		/* message lost or returned: no confirm */
#ifdef M_NO_UNCONFIRMED
			; confirmed[d] = 1
#endif
#endif
		fi;
		d = 0 }
#ifndef D_REPUBLISH_ONLY_WHEN_EMPTY
	:: atomic { !over && db.status[0] == QUEUED && confirmed[0] && !msgs[0] && !HANDS(0) ->
		confirmed[0] = 0 }
#if ND > 1
	:: atomic { !over && db.status[1] == QUEUED && confirmed[1] && !msgs[1] && !HANDS(1) ->
		confirmed[1] = 0 }
#endif
#if ND > 2
	:: atomic { !over && db.status[2] == QUEUED && confirmed[2] && !msgs[2] && !HANDS(2) ->
		confirmed[2] = 0 }
#endif
#endif
	:: atomic { !over && !grace && (LEASE_OVER(0) || ND > 1 && LEASE_OVER(ND-1) || ND > 2 && LEASE_OVER(ND/2)) ->
		if
		:: LEASE_OVER(0) -> d = 0
#if ND > 1
		:: LEASE_OVER(1) -> d = 1
#endif
#if ND > 2
		:: LEASE_OVER(2) -> d = 2
#endif
		fi;
#ifdef M_RESCUE_TWO_STEP
		if
		:: db.worker[d] == GONE || !fresh[db.worker[d]]
		:: else -> goto nothing
		fi;
		seen = db.runs[d] & ~db.done[d] }
	   atomic {			/* acts on what the first step saw */
		rescue(d, seen);
#else
		/* a loss is the worker's: it died, forgot, or stood still */
		assert(db.worker[d] == GONE || stalled[db.worker[d]]);
		rescue(d, db.runs[d] & ~db.done[d]);
#endif
		commit_sync();
#ifdef M_RESCUE_TWO_STEP
nothing:
#endif
		d = 0; seen = 0 }
#ifdef F_SCHEDULER
	:: atomic { !over && faults && (confirmed[0] || confirmed[ND-1] || confirmed[ND/2]) ->	/* restart */
		faults--;
#ifndef M_NO_REPUBLISH_ON_START
		confirmed[0] = 0; confirmed[ND-1] = 0; confirmed[ND/2] = 0
#endif
		}
#endif
	od
}

/* ------------------------------------------------------------------- worker */

/* UPDATE dispatches ... WHERE id = d AND status = 'queued' (or claimed with this very token) */
inline end_late(ldis)
{
	if
	:: late && HAS(ldis, 0) -> mask(ldis, 0); final_row(0, EXPIRED)
	:: else
	fi
}
inline end_cancelled(edis, ends)
{
	i_ = 0;
	do
	:: i_ < NR && (db.runs[edis] & ~db.done[edis] & (ends) & B(i_)) ->
		mask(edis, i_); final_row(i_, CANCELLED); i_++
	:: i_ < NR && !(db.runs[edis] & ~db.done[edis] & (ends) & B(i_)) -> i_++
	:: i_ >= NR -> break
	od;
	i_ = 0
}
inline claim(cwrk, cdis, ctok, sees, cgot)
{
	cgot = 0;
	if
#ifdef M_CLAIM_NO_STATUS
	:: db.status[cdis] != FREE ->
#else
	:: db.status[cdis] == QUEUED ->
#endif
		db.status[cdis] = CLAIMED; db.worker[cdis] = cwrk; db.token[cdis] = ctok; confirmed[cdis] = 0;
#ifndef M_CANCEL_NOT_AT_CLAIM
		end_cancelled(cdis, sees);
#endif
#ifdef EXPIRE
		end_late(cdis);
#endif
		cgot = db.runs[cdis] & ~db.done[cdis];
		assert(!(cgot & (sees)));	/* (e) nothing is handed out that was cancelled before */
		drop_if_done(cdis)
#ifndef D_CLAIM_NOT_REPEATABLE
	:: db.status[cdis] == CLAIMED && db.token[cdis] == ctok ->	/* ends nothing: the worker may be running it */
#ifdef M_REPEAT_ENDS_CANCELLED
		end_cancelled(cdis, sees);
#endif
		cgot = db.runs[cdis] & ~db.done[cdis]
#endif
	:: else
	fi;
#ifdef CLAIM_SYNC
	commit_sync()
#else
	commit_async()
#endif
}

/* rows for the runs that ended; a retry's timer; the dispatch goes when all are done */
inline finish(nwrk, ndis)
{
	i_ = 0;
	do
#ifdef D_FINISH_NO_MASK_GUARD
	:: i_ < NR && ((wok[nwrk] | wbad[nwrk]) & db.runs[ndis] & B(i_)) ->
#else
	:: i_ < NR && ((wok[nwrk] | wbad[nwrk]) & db.runs[ndis] & ~db.done[ndis] & B(i_)) ->
#endif
#ifndef M_FINISH_NOT_MASKING
		mask(ndis, i_);
#endif
		if
		:: wok[nwrk] & B(i_) -> final_row(i_, SUCCEEDED)
		:: else ->
			if
			:: db.failures[i_] < MAXR && !(wsnap[nwrk] & B(i_)) ->
				execution(i_); db.failures[i_]++; timer(i_); db.attempt[i_]++
			:: else -> final_row(i_, FAILED)
			fi
		fi;
		i_++
	:: else -> if :: i_ < NR -> i_++ :: else -> break fi
	od;
	i_ = 0;
	drop_if_done(ndis);
	commit_finish()
}

#ifdef M_FINISH_NO_TOKEN
#define MAY_FINISH(w) (db.status[wd[w]] == CLAIMED)
#else
#define MAY_FINISH(w) MINE(w)
#endif
#ifdef M_RELEASE_NO_TOKEN
#define MAY_RELEASE(w) (db.status[wd[w]] != FREE)
#else
#define MAY_RELEASE(w) MINE(w)
#endif
#ifdef D_START_WITHOUT_LEASE
#define MAY_START(w) 1
#else
#define MAY_START(w) fresh[w]
#endif
/* dispatches that Postgres holds for w and w knows nothing of */
#define FORGOTTEN(w, d) (db.status[d] == CLAIMED && db.worker[d] == w && \
	!(ws[w] != IDLE && wd[w] == d && wt[w] == db.token[d]))

inline instance_dies(iwrk)
{
#ifdef D_SAME_WORKER_ID
	skip;			/* the next process registers under the same id */
#else
	j_ = 0;
	do
	:: j_ < ND ->
		if :: db.worker[j_] == iwrk && db.status[j_] == CLAIMED -> db.worker[j_] = GONE :: else fi;
		if :: disk.worker[j_] == iwrk && disk.status[j_] == CLAIMED -> disk.worker[j_] = GONE :: else fi;
		j_++
	:: else -> break
	od;
	j_ = 0;
#endif
	if		/* the broker gives unacked deliveries back */
#ifndef M_ACK_BEFORE_CLAIM
	:: (ws[iwrk] == CLAIMING || ws[iwrk] == DOUBT) && msgs[wd[iwrk]] < 2 -> msgs[wd[iwrk]]++
#endif
	:: else
	fi;
	forget(iwrk);
	fresh[iwrk] = 1; stalled[iwrk] = 0
}

proctype worker_process(byte w)
{
	byte d, r, got;
end:	do
	:: atomic { !over && ws[w] == IDLE && (msgs[0] || msgs[ND-1] || msgs[ND/2]) ->	/* a delivery */
		if
		:: msgs[0] -> d = 0
#if ND > 1
		:: msgs[1] -> d = 1
#endif
#if ND > 2
		:: msgs[2] -> d = 2
#endif
		fi;
		msgs[d]--; wd[w] = d;
		t_ = 1; do :: USED(t_) -> t_++ :: else -> break od;
		wt[w] = t_; t_ = 0; d = 0;
		wsnap[w] = db.cancelled; ws[w] = CLAIMING }
	:: atomic { ws[w] == CLAIMING ->	/* the claim commits and answers; ack */
		claim(w, wd[w], wt[w], wsnap[w], got);
		if
		:: got -> wtodo[w] = got; wsnap[w] = 0; ws[w] = HOLDS
		:: else -> forget(w)
		fi;
		got = 0 }
#ifdef F_REPLY
	:: atomic { ws[w] == CLAIMING && faults -> faults--;	/* it commits, the answer is lost */
		claim(w, wd[w], wt[w], wsnap[w], got);
		ws[w] = DOUBT; wsnap[w] = 0; got = 0 }
	:: atomic { ws[w] == CLAIMING && faults && !gt[w] -> faults--;	/* it may commit later */
		gd[w] = wd[w]; gt[w] = wt[w]; ws[w] = DOUBT; wsnap[w] = 0 }
	:: atomic { gt[w] -> claim(w, gd[w], gt[w], db.cancelled, got); gd[w] = 0; gt[w] = 0; got = 0 }
#endif
	:: atomic { ws[w] == DOUBT -> wsnap[w] = db.cancelled; ws[w] = CLAIMING }	/* same token */
	:: atomic { ws[w] == HOLDS && !wrun[w] && wtodo[w] && MAY_START(w) ->
		if
		:: wtodo[w] & 1 -> r = 0
#if NR > 1
		:: wtodo[w] & 2 -> r = 1
#endif
#if NR > 2
		:: wtodo[w] & 4 -> r = 2
#endif
		fi;
		wtodo[w] = wtodo[w] & ~B(r);
		assert(!(db.told & B(r)));		/* (e) */
#ifndef D_START_WITHOUT_LEASE
		assert(MINE(w) && HAS(wd[w], r));	/* nobody else may run it now */
		assert(!(db.started[r] & B(db.attempt[r])));	/* (h) an attempt starts once */
		db.started[r] = db.started[r] | B(db.attempt[r]);
#endif
#ifdef POISON
		if
		:: r == POISON -> instance_dies(w)
		:: else -> wrun[w] = r + 1
		fi;
#else
		wrun[w] = r + 1;
#endif
		r = 0 }
	:: atomic { wrun[w] -> wok[w] = wok[w] | B(wrun[w] - 1); wrun[w] = 0 }
#ifndef NO_FAILURES
	:: atomic { wrun[w] -> wbad[w] = wbad[w] | B(wrun[w] - 1); wrun[w] = 0 }
#endif
	:: atomic { ws[w] == HOLDS && !wrun[w] && (wok[w] | wbad[w]) ->
		wsnap[w] = db.cancelled; ws[w] = FINISHING }
	:: atomic { ws[w] == FINISHING ->
		if
		:: MAY_FINISH(w) ->
			assert(MINE(w));		/* (d) */
			finish(w, wd[w]);
			wok[w] = 0; wbad[w] = 0; wsnap[w] = 0;
			if
			:: wtodo[w] -> ws[w] = HOLDS
			:: else -> forget(w)
			fi
		:: else -> forget(w)			/* you lost, stop */
		fi }
#ifdef F_REPLY
	:: atomic { ws[w] == FINISHING && faults && MAY_FINISH(w) -> faults--;	/* done, answer lost: sent again */
		assert(MINE(w));
		finish(w, wd[w]); wsnap[w] = db.cancelled }
#endif
#ifdef F_RELEASE
#ifdef M_RELEASE_STARTED
	:: atomic { ws[w] == HOLDS && wrun[w] && faults ->
		faults--; wtodo[w] = wtodo[w] | B(wrun[w] - 1); wrun[w] = 0; ws[w] = RELEASING }
#endif
	:: atomic { ws[w] == HOLDS && !wrun[w] && !(wok[w] | wbad[w]) && wtodo[w] && faults ->
		faults--; ws[w] = RELEASING }
	:: atomic { ws[w] == RELEASING ->
		if
		:: MAY_RELEASE(w) ->
			i_ = 0;
			do
			:: i_ < NR && (wtodo[w] & db.runs[wd[w]] & ~db.done[wd[w]] & B(i_)) ->
				mask(wd[w], i_); timer(i_);
#ifdef M_RELEASE_ROW
				execution(i_);
#endif
				i_++
			:: i_ < NR && !(wtodo[w] & db.runs[wd[w]] & ~db.done[wd[w]] & B(i_)) -> i_++
			:: i_ >= NR -> break
			od;
			i_ = 0;
			drop_if_done(wd[w]);
			commit_sync()
		:: else
		fi;
		if
		:: forget(w)
#ifdef F_REPLY
		:: faults -> faults--			/* answer lost: sent again */
#endif
		fi }
#endif
	/* heartbeat: sends what it holds, hears what is no longer its own */
	:: atomic { !fresh[w] ->
		fresh[w] = 1; stalled[w] = 0;
		if
		:: ws[w] >= HOLDS && !MINE(w) -> forget(w)
		:: else
		fi }
#ifndef D_LEASE_PER_WORKER
	:: atomic { !over && FORGOTTEN(w, 0) && fresh[w] -> db.worker[0] = GONE; commit_async() }
#if ND > 1
	:: atomic { !over && FORGOTTEN(w, 1) && fresh[w] -> db.worker[1] = GONE; commit_async() }
#endif
#if ND > 2
	:: atomic { !over && FORGOTTEN(w, 2) && fresh[w] -> db.worker[2] = GONE; commit_async() }
#endif
#endif
#ifdef F_WORKER
	:: atomic { !over && faults && ws[w] != IDLE -> faults--; instance_dies(w) }	/* SIGKILL */
	:: atomic { !over && faults && ws[w] != IDLE && fresh[w] -> faults--;	/* stands still past its lease */
		fresh[w] = 0; stalled[w] = 1 }
	/* Postgres was away past the lease: what the worker has is dropped */
	:: atomic { !over && faults && ws[w] >= HOLDS -> faults--; forget(w) }
#endif
	od
}

/* ------------------------------------------------- cancel, alter, Postgres, broker */

#ifdef CANCEL
active proctype cancel()
{
	byte r, left;
#ifdef D_CANCEL_BY_JOB_STATE
	/* jobs.state is set, and the answer is read from the other tables */
	atomic { !over;
		db.cancelled = db.cancelled | OFJOB;
		r = 0;
		do
		:: r < NR && (OFJOB & db.made & B(r)) ->
			if
			:: db.timers & B(r) ->
				db.timers = db.timers & ~B(r); final_row(r, CANCELLED); db.told = db.told | B(r)
			:: HAS(0, r) && db.status[0] == QUEUED || HAS(ND-1, r) && db.status[ND-1] == QUEUED ||
			   HAS(ND/2, r) && db.status[ND/2] == QUEUED -> db.told = db.told | B(r)
			:: else
			fi;
			r++
		:: r < NR && !(OFJOB & db.made & B(r)) -> r++
		:: r >= NR -> break
		od;
		commit_sync();
		r = 0 }
#else
	byte seen;
	/* statement 1: DELETE FROM timers; it misses rows younger than its snapshot */
	atomic { !over; locked = 1; seen = db.timers & OFJOB }
	atomic {
		r = 0;
		do
		:: r < NR && (seen & db.timers & B(r)) ->
			db.timers = db.timers & ~B(r); final_row(r, CANCELLED); db.told = db.told | B(r); r++
		:: r < NR && !(seen & db.timers & B(r)) -> r++
		:: r >= NR -> break
		od;
		r = 0; seen = 0; commit_sync() }
	/* statement 2: queued dispatches, then jobs.state; what is elsewhere is 'cancelling' */
	atomic {
		r = 0;
		do
		:: r < NR && (OFJOB & B(r)) ->
			if
			:: HAS(0, r) && db.status[0] == QUEUED ->
				mask(0, r); final_row(r, CANCELLED); db.told = db.told | B(r); drop_if_done(0)
#if ND > 1
			:: HAS(1, r) && db.status[1] == QUEUED ->
				mask(1, r); final_row(r, CANCELLED); db.told = db.told | B(r); drop_if_done(1)
#endif
#if ND > 2
			:: HAS(2, r) && db.status[2] == QUEUED ->
				mask(2, r); final_row(r, CANCELLED); db.told = db.told | B(r); drop_if_done(2)
#endif
			:: else
			fi;
			r++
		:: r < NR && !(OFJOB & B(r)) -> r++
		:: r >= NR -> break
		od;
		db.cancelled = db.cancelled | OFJOB;
		locked = 0;
		commit_sync();
		r = 0 }
#endif
}
#endif

#ifdef EXPIRE
#ifdef M_EXPIRE_CLAIMED
#define UNTAKEN(d) HAS(d, 0)
#else
#define UNTAKEN(d) (HAS(d, 0) && db.status[d] == QUEUED)
#endif
#define LEFT (HAS(0, 0) || HAS(ND-1, 0) || HAS(ND/2, 0))
/* the scheduler's look at expiries */
active proctype expire()
{
	bit seen;
	atomic { !over; late = 1 }
end:	do
	/* its row is there, and there is something to do: what is claimed it leaves alone and looks again later */
	:: atomic { !over && db.expiry && (db.timers & 1 || UNTAKEN(0) || UNTAKEN(ND-1) || UNTAKEN(ND/2) || !LEFT) ->
		seen = db.timers & 1 }			/* statement 1: DELETE FROM timers */
	   atomic {
		if
		:: seen && (db.timers & 1) -> db.timers = db.timers & ~1; final_row(0, EXPIRED)
		:: true					/* not there any more, or locked: promote is at it */
		fi;
		seen = 0; commit_async() }
	   atomic {					/* statement 2: queued dispatches */
		if
		:: UNTAKEN(0) -> mask(0, 0); final_row(0, EXPIRED); drop_if_done(0)
#if ND > 1
		:: UNTAKEN(1) -> mask(1, 0); final_row(0, EXPIRED); drop_if_done(1)
#endif
		:: true					/* likewise: claim, cancel */
		fi;
		commit_async() }
	   /* statement 3: nothing is left, in one snapshot; the row goes */
#ifdef M_EXPIRE_TWO_SNAPSHOTS
	   atomic { seen = LEFT }
	   atomic { if :: !seen && !(db.timers & 1) -> db.expiry = 0 :: else fi; seen = 0; commit_async() }
#else
	   atomic { if :: !LEFT && !(db.timers & 1) -> db.expiry = 0 :: else fi; commit_async() }
#endif
	od
}
#endif

#ifdef ALTER
/* schedule() with another expression: planned times go, the next one is planned */
active proctype alter()
{
	byte seen, r;
#ifdef D_ALTER_UNLOCKED
	atomic { !over && db.made; seen = db.timers }	/* snapshot of the DELETE */
	atomic {
		/* the next time after now, whatever promote has done since */
		r = 0;
		do
		:: r < NR && (seen & B(r)) -> break
		:: else -> r++
		od;
		if
		:: r + 1 < NR && !(db.timers & seen) ->	/* waited for promote, found the row gone */
			assert(!(db.made & B(r + 1)));
			timer(r + 1)
		:: else
		fi }
#else
	/* the schedules row is locked; promote of a cron job moves last_run_at in that row */
end:
	atomic { !over && db.made && !locked && !db.cancelled;
		r = 0;
		do
		:: r < NR && (db.timers & B(r)) && db.attempt[r] == 1 && !(db.promoted & B(r)) ->
			db.timers = db.timers & ~B(r); db.made = db.made & ~B(r); r++
		:: r < NR && !((db.timers & B(r)) && db.attempt[r] == 1 && !(db.promoted & B(r))) -> r++
		:: r >= NR -> break
		od;
		r = 0;
		do
		:: r < NR && (db.promoted & B(r)) -> r++
		:: else -> break
		od;
		if
		:: r < NR -> timer(r); db.made = db.made | B(r); db.attempt[r] = 1
		:: else
		fi;
		commit_sync(); r = 0 }
#endif
}
#endif

#if defined(F_CRASH) || defined(F_PURGE) || defined(F_NODE) || defined(F_DUP)
active proctype faulty()
{
	byte d;
end:	do
#ifdef F_CRASH
	/* the WAL up to here reaches the disk (or the standby) */
	:: atomic { !over && faults && (db.status[0] != disk.status[0] || db.status[ND-1] != disk.status[ND-1] ||
			db.status[ND/2] != disk.status[ND/2] || db.timers != disk.timers || db.token[0] != disk.token[0] ||
			db.token[ND-1] != disk.token[ND-1] || db.token[ND/2] != disk.token[ND/2] || db.done[0] != disk.done[0] ||
			db.done[ND-1] != disk.done[ND-1] || db.cancelled != disk.cancelled || db.worker[0] != disk.worker[0] ||
			db.worker[ND-1] != disk.worker[ND-1]) -> copy(disk, db) }
	/* crash and restart, or failover; the scheduler is a child of Postgres */
	:: atomic { !over && faults -> faults--;
		copy(db, disk);
		d = 0;
		do
		:: d < ND -> confirmed[d] = 0; d++
		:: else -> break
		od;
		d = 0;
		do
		:: d < NW ->
			gd[d] = 0; gt[d] = 0;
			fresh[d] = 0;		/* away longer than the lease */
			if
			:: ws[d] == CLAIMING -> ws[d] = DOUBT; wsnap[d] = 0
			:: else
			fi;
			d++
		:: else -> break
		od;
		d = 0;
#ifndef D_RESCUE_AT_ONCE
		grace = 1;
#endif
		if :: !faults -> clear_disk() :: else fi }
	:: atomic { grace && fresh[0] && fresh[1] -> grace = 0 }
#endif
#ifdef F_PURGE
	:: atomic { !over && faults && (msgs[0] || msgs[ND-1] || msgs[ND/2]) -> faults--;	/* emptied, connection stays */
		msgs[0] = 0; msgs[ND-1] = 0; msgs[ND/2] = 0 }
#endif
#ifdef F_NODE
	:: atomic { !over && faults && (confirmed[0] || confirmed[ND-1] || confirmed[ND/2]) -> faults--;
		msgs[0] = 0; msgs[ND-1] = 0; msgs[ND/2] = 0;	/* node lost: emptied, reconnect */
#ifndef M_NO_REPUBLISH_ON_RECONNECT
		confirmed[0] = 0; confirmed[ND-1] = 0; confirmed[ND/2] = 0
#endif
		}
#endif
#ifdef F_DUP
	:: atomic { !over && faults && msgs[0] < 2 -> faults--; msgs[0]++ }	/* duplicate, stale or forged */
#if ND > 1
	:: atomic { !over && faults && msgs[1] < 2 -> faults--; msgs[1]++ }
#endif
#endif
	od
}
#endif

init
{
	atomic {		/* submit, committed */
		fresh[0] = 1; fresh[1] = 1;
#ifdef CRON
		db.timers = 1; db.made = 1; db.attempt[0] = 1;
#else
		db.timers = ALL; db.made = ALL;
		i_ = 0;
		do
		:: i_ < NR -> db.attempt[i_] = 1; i_++
		:: else -> break
		od;
		i_ = 0;
#endif
#ifdef EXPIRE
		db.expiry = 1;
#endif
#ifdef F_CRASH
		copy(disk, db);
#endif
#ifndef NO_WORKERS
		run worker_process(0); run worker_process(1)
#endif
	}
	/* nothing can move any more: (a) everything accepted has ended, (f) also what kills its worker */
	timeout -> atomic {
		over = 1;
#ifdef EXPIRE
		assert(db.final[0]);		/* also what nobody consumes */
#endif
#ifndef NO_WORKERS
		assert(db.timers == 0);
		assert(db.status[0] == FREE && db.status[ND-1] == FREE && db.status[ND/2] == FREE);
		i_ = 0;
		do
		:: i_ < NR ->
#ifdef CRON
			assert(db.final[i_] || db.cancelled);
#else
			assert(db.final[i_]);
#endif
#ifdef POISON
			assert(i_ != POISON || db.final[i_] == FAILED);
#endif
			i_++
		:: else -> break
		od;
		i_ = 0
#endif
	}
}
