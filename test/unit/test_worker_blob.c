/* sources: src/worker/blob/blob.c src/worker/blob/blob_file.c src/common/error.c */
/* libs: -lcrypto */
/*
 * Blob stores: what all kinds do, seen with files.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "src/worker/blob/blob.h"
#include "tap.h"

#define ABC_SHA256 "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" /* FIPS 180-2, B.1 */

static struct blob_store *store;
static struct error err;

static struct blob_object
object(const char *key)
{
	return (struct blob_object){.key = key};
}

/* All of an object as text; "" and the code in *rc when it cannot be read. */
static const char *
contents(struct blob_object o, ssize_t *rc)
{
	static char buf[1024];
	struct blob_reader *r;
	size_t len = 0;

	buf[0] = '\0';
	*rc = blob_reader_open(store, &o, &r, &err);
	if (*rc < 0)
		return "";
	while ((*rc = blob_reader_read(r, buf + len, 2, &err)) > 0)
		len += (size_t) *rc;
	buf[len] = '\0';
	blob_reader_close(r);
	return buf;
}

static void
memory(void)
{
	struct blob_object o = object("jobs/1/a");
	struct blob_info info = {0};
	ssize_t rc;

	is_int(blob_put(store, &o, "abc", 3, &info, &err), BLOB_OK, "bytes are stored");
	is_int(info.size, 3, "their number");
	is_str(info.sha256, ABC_SHA256, "their SHA-256");
	is_str(contents(o, &rc), "abc", "they are read");
	is_int(rc, 0, "to the end");
	is_int(blob_put(store, &o, "", 0, &info, &err), BLOB_OK, "an object is replaced, also by nothing");
	is_str(contents(o, &rc), "", "and is empty then");
	memset(&info, 1, sizeof(info));
	is_int(blob_stat(store, &o, &info, &err), BLOB_OK, "it exists");
	is_int(info.size, 0, "with its size");
}

static void
file(const char *dir)
{
	struct blob_object o = object("jobs/1/from-file");
	struct blob_info info = {0};
	char path[300];
	ssize_t rc;
	int fd;

	snprintf(path, sizeof(path), "%s/source", dir);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	is_int(write(fd, "xabc", 4), 4, "a file");
	lseek(fd, 1, SEEK_SET);
	is_int(blob_put_file(store, &o, fd, &info, &err), BLOB_OK, "a file is stored from where it stands");
	is_str(info.sha256, ABC_SHA256, "its SHA-256");
	is_str(contents(o, &rc), "abc", "it is read");
	close(fd);
	unlink(path);
	fd = open(dir, O_RDONLY | O_CLOEXEC);
	is_int(blob_put_file(store, &o, fd, &info, &err), BLOB_FAILED, "what cannot be read is not stored");
	ok(strstr(err.msg, "cannot be read"), "%s", err.msg);
	is_str(contents(o, &rc), "abc", "and what was there stays");
	close(fd);
}

static void
pieces(const char *dir)
{
	struct blob_object o = object("jobs/2/b");
	struct blob_writer *w;
	struct blob_info info = {0};
	char command[300];
	ssize_t rc;

	is_int(blob_writer_open(store, &o, &w, &err), BLOB_OK, "a writer");
	is_int(blob_writer_write(w, "a", 1, &err), BLOB_OK, "takes one piece");
	is_int(blob_writer_write(w, "", 0, &err), BLOB_OK, "nothing");
	is_int(blob_writer_write(w, "bc", 2, &err), BLOB_OK, "and another");
	is_int(blob_stat(store, &o, &info, &err), BLOB_MISSING, "nobody sees them before");
	is_int(blob_writer_commit(w, &info, &err), BLOB_OK, "commit");
	is_int(info.size, 3, "their number");
	is_str(info.sha256, ABC_SHA256, "their SHA-256");
	is_str(contents(o, &rc), "abc", "they are read");

	o.key = "jobs/2/c";
	is_int(blob_writer_open(store, &o, &w, &err), BLOB_OK, "another writer");
	is_int(blob_writer_write(w, "abc", 3, &err), BLOB_OK, "takes a piece");
	blob_writer_abort(w);
	is_int(blob_stat(store, &o, &info, &err), BLOB_MISSING, "and is aborted: no object");
	snprintf(command, sizeof(command), "! find %s -name '.*.tmp' | grep .", dir);
	is_int(system(command), 0, "and no file is left over");
	blob_writer_abort(NULL);
	blob_reader_close(NULL);
}

static void
reading(void)
{
	struct blob_object o = object("jobs/1/a");
	struct blob_info info;
	struct blob_reader *r;
	char buf[8];
	ssize_t rc;

	blob_put(store, &o, "abc", 3, NULL, &err);
	o.sha256 = ABC_SHA256;
	is_str(contents(o, &rc), "abc", "an object is what its SHA-256 says");
	is_int(rc, 0, "to the end");
	blob_put(store, &o, "abd", 3, NULL, &err);
	is_int(blob_reader_open(store, &o, &r, &err), BLOB_OK, "another is opened");
	is_int(blob_reader_size(r), 3, "its size");
	is_int(blob_reader_read(r, buf, sizeof(buf), &err), 3, "and read");
	is_int(blob_reader_read(r, buf, sizeof(buf), &err), BLOB_FAILED, "and found to be damaged at its end");
	is_int(blob_reader_read(r, buf, sizeof(buf), &err), BLOB_FAILED, "for ever");
	ok(strstr(err.msg, "jobs/1/a is damaged"), "%s", err.msg);
	blob_reader_close(r);

	o = object("jobs/1/none");
	contents(o, &rc);
	is_int(rc, BLOB_MISSING, "no such object");
	ok(strstr(err.msg, "jobs/1/none"), "%s", err.msg);
	o.key = "jobs/9/a";
	is_int(blob_stat(store, &o, &info, &err), BLOB_MISSING, "no such directory");
	o.key = "jobs/1/a/b";
	is_int(blob_stat(store, &o, &info, &err), BLOB_MISSING, "a file is not a directory");
	o.key = "jobs/1";
	is_int(blob_stat(store, &o, &info, &err), BLOB_MISSING, "a directory is not an object");
}

static void
keys(void)
{
	static const char *const refused[] = {"", "/a", "a/", "a//b", "../a", "a/../b", "a/.b", ".a", "a\nb", "a\x7F"};
	struct blob_object o;

	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
		o = object(refused[i]);
		is_int(blob_put(store, &o, "", 0, NULL, &err), BLOB_REFUSED, "key %zu is refused", i);
	}
}

int
main(void)
{
	char dir[] = "/tmp/jobsched-unit-XXXXXX", path[64], command[64];

	if (!mkdtemp(dir))
		return 1;
	snprintf(path, sizeof(path), "%s/store", dir);
	store = blob_file_open(path, &err);
	ok(store != NULL, "a directory that is not there is made");
	is_int(blob_check(store, &err), BLOB_OK, "it can be used");
	memory();
	file(dir);
	pieces(dir);
	reading();
	keys();
	blob_close(store);
	ok(blob_file_open("/proc/nothing", &err) == NULL, "a directory that cannot be made: %s", err.msg);
	snprintf(command, sizeof(command), "rm -r %s", dir);
	return system(command) != 0 || done_testing();
}
