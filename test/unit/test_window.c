/* How many dispatches are unclaimed, when they are counted while others come and go. */
/* sources: */
#include "src/extension/window.h"
#include "tap.h"

int
main(void)
{
	is_int(window_settle(0, 16, 0, 0), 16, "counted in peace: the count");
	is_int(window_settle(20, 16, 0, 0), 16, "also when the counters said more");
	is_int(window_settle(0, 16, 0, 16), 0, "all that was counted has been claimed meanwhile: the window is open");
	is_int(window_settle(5, 16, 3, 16), 5, "what can be is believed");
	is_int(window_settle(-3, 2, 0, 2), 0, "never less than none");
	is_int(window_settle(100, 16, 4, 9), 20, "too much: the most that can be");
	is_int(window_settle(1, 16, 4, 9), 7, "too little: the least that can be");
	is_int(window_settle(0, 0, 0, UINT64_C(1000)), 0, "claims of what the snapshot had seen claimed are no debt");

	/* A slow count among busy workers, with a window of 16: whatever the snapshot saw, it never stays shut. */
	for (int seen = 0; seen <= 16; seen++)
		ok(window_settle(0, seen, 0, 16) == 0, "a snapshot with %d of 16, all claimed", seen);
	return done_testing();
}
