/* Settings: where they come from, what is refused and how, what is shown. */
/* sources: src/common/config.c src/common/error.c */
#include <stdlib.h>
#include <unistd.h>

#include "src/common/config.h"
#include "tap.h"

struct settings {
	char *text;
	long number;
	double seconds;
	bool flag;
	char *choice;
	char *url;
};

static const struct config_item items[] = {
        {"T_TEXT", NULL, CONFIG_TEXT, "dflt", 0, 0, NULL, false, offsetof(struct settings, text), "a text"},
        {"T_NUMBER", "T_OLD_NUMBER", CONFIG_INT, "4", 1, 100, NULL, false, offsetof(struct settings, number),
                "a number"},
        {"T_SECONDS", NULL, CONFIG_SECONDS, "1.5", 0, 60, NULL, false, offsetof(struct settings, seconds), "a time"},
        {"T_FLAG", NULL, CONFIG_BOOL, "no", 0, 0, NULL, false, offsetof(struct settings, flag), "a flag"},
        {"T_CHOICE", NULL, CONFIG_CHOICE, "text", 0, 0, "text|json", false, offsetof(struct settings, choice),
                "a choice"},
        {"T_URL", NULL, CONFIG_TEXT, "", 0, 0, NULL, true, offsetof(struct settings, url), "a secret"},
};

#define N (sizeof(items) / sizeof(items[0]))

static struct settings s;
static struct error err;
static char path[] = "/tmp/test_config_XXXXXX";

static int
load(const char *dotenv)
{
	config_free(items, N, &s);
	memset(&s, 0, sizeof(s));
	memset(&err, 0, sizeof(err));
	return config_load(items, N, dotenv, &s, &err);
}

static int
load_text(const char *text)
{
	FILE *f = fopen(path, "w");

	if (!f)
		abort();
	fputs(text, f);
	fclose(f);
	return load(path);
}

static void
clear(void)
{
	for (size_t i = 0; i < N; i++) {
		unsetenv(items[i].name);
		if (items[i].alias)
			unsetenv(items[i].alias);
	}
}

static void
refuses(const char *name, const char *value, const char *message)
{
	clear();
	setenv(name, value, 1);
	is_int(load(NULL), -1, "%s=%s is refused", name, value);
	is_str(err.msg, message, "and the message says it all");
	clear();
}

static void
masks(const char *value, const char *shown)
{
	char *text = NULL, expected[512];
	size_t size = 0;
	FILE *f = open_memstream(&text, &size);

	clear();
	setenv("T_URL", value, 1);
	load(NULL);
	config_print(items, N, &s, f);
	fclose(f);
	snprintf(expected, sizeof(expected),
	        "T_TEXT=dflt\nT_NUMBER=4\nT_SECONDS=1.5\nT_FLAG=false\nT_CHOICE=text\nT_URL=%s\n", shown);
	is_str(text, expected, "%s is shown masked", value);
	free(text);
	clear();
}

static void
database_url(const char *value, const char *expected)
{
	char *url = config_database_url(value);

	is_str(url, expected, "%s for libpq", value);
	free(url);
}

/* The value of a variable there, NULL if there is none. */
static const char *
variable(char *const *environment, const char *name)
{
	size_t len = strlen(name);

	for (; *environment; environment++) {
		if (strncmp(*environment, name, len) == 0 && (*environment)[len] == '=')
			return *environment + len + 1;
	}
	return NULL;
}

int
main(void)
{
	char *text = NULL;
	size_t size = 0;
	char **environment;
	FILE *f;
	int fd = mkstemp(path);

	if (fd < 0)
		abort();
	close(fd);
	clear();

	is_int(load(NULL), 0, "loads with nothing set");
	ok(strcmp(s.text, "dflt") == 0 && s.number == 4 && s.seconds == 1.5 && !s.flag && strcmp(s.choice, "text") == 0,
	        "and takes the defaults");
	is_int(load("/tmp/no/such/file"), 0, "a missing .env is no error");
	is_int(load("/tmp"), -1, "an unreadable one is");

	setenv("T_NUMBER", "7", 1);
	setenv("T_FLAG", "YES", 1);
	setenv("T_CHOICE", "Json", 1);
	setenv("T_SECONDS", "2e1", 1);
	is_int(load(NULL), 0, "reads the environment");
	ok(s.number == 7 && s.flag && s.seconds == 20, "numbers and flags");
	is_str(s.choice, "json", "choices without regard to case, spelled as known");
	clear();
	setenv("T_OLD_NUMBER", "8", 1);
	load(NULL);
	is_int(s.number, 8, "an alias counts");
	load_text("T_NUMBER=9\n");
	is_int(s.number, 8, "also before .env");
	setenv("T_NUMBER", "7", 1);
	load(NULL);
	is_int(s.number, 7, "but after the name itself");
	clear();

	is_int(load_text("\xEF\xBB\xBF# comment\n\nexport T_TEXT = \"a \\\"b\\\" # c\\n\"  # why\r\nT_NUMBER=5 # "
	                 "five\nT_URL='x # y'\n"
	                 "UNKNOWN=1\nT_NUMBER=6"),
	        0, "reads a .env file");
	is_str(s.text, "a \"b\" # c\n", "double quotes, escapes, comment, export, CR");
	is_str(s.url, "x # y", "single quotes");
	is_int(s.number, 6, "the last line wins, also without newline");
	setenv("T_NUMBER", "50", 1);
	load(path);
	is_int(s.number, 50, "the environment wins over .env");
	clear();
	load_text("T_TEXT=a#b\n");
	is_str(s.text, "a#b", "# inside a word is no comment");
	load_text("T_TEXT=\n");
	is_str(s.text, "", "an empty value is empty");

	is_int(load_text("T_TEXT=1\nT_URL=\"secret\n"), -1, "refuses an open quote");
	ok(strstr(err.msg, "line 2 has no closing quote") && !strstr(err.msg, "secret"),
	        "naming the line, not the text");
	is_int(load_text("just words\n"), -1, "refuses a line without =");
	is_int(load_text("=x\n"), -1, "refuses a line without name");
	is_int(load_text("T_TEXT='a' b\n"), -1, "refuses text after the quote");

	refuses("T_NUMBER", "abc", "T_NUMBER is \"abc\"; allowed: a whole number from 1 to 100");
	refuses("T_NUMBER", "", "T_NUMBER is \"\"; allowed: a whole number from 1 to 100");
	refuses("T_NUMBER", "0", "T_NUMBER is \"0\"; allowed: a whole number from 1 to 100");
	refuses("T_NUMBER", "101", "T_NUMBER is \"101\"; allowed: a whole number from 1 to 100");
	refuses("T_NUMBER", "4x", "T_NUMBER is \"4x\"; allowed: a whole number from 1 to 100");
	refuses("T_NUMBER", " 4", "T_NUMBER is \" 4\"; allowed: a whole number from 1 to 100");
	refuses("T_NUMBER", "99999999999999999999",
	        "T_NUMBER is \"99999999999999999999\"; allowed: a whole number from 1 to 100");
	refuses("T_OLD_NUMBER", "x", "T_OLD_NUMBER is \"x\"; allowed: a whole number from 1 to 100");
	refuses("T_SECONDS", "nan", "T_SECONDS is \"nan\"; allowed: seconds from 0 to 60, fractions allowed");
	refuses("T_SECONDS", "inf", "T_SECONDS is \"inf\"; allowed: seconds from 0 to 60, fractions allowed");
	refuses("T_SECONDS", "0x10", "T_SECONDS is \"0x10\"; allowed: seconds from 0 to 60, fractions allowed");
	refuses("T_SECONDS", "1e999", "T_SECONDS is \"1e999\"; allowed: seconds from 0 to 60, fractions allowed");
	refuses("T_SECONDS", "5s", "T_SECONDS is \"5s\"; allowed: seconds from 0 to 60, fractions allowed");
	refuses("T_FLAG", "maybe", "T_FLAG is \"maybe\"; allowed: 1, 0, true, false, yes, no, on, off");
	refuses("T_CHOICE", "xml", "T_CHOICE is \"xml\"; allowed: text json");
	refuses("T_CHOICE", "tex", "T_CHOICE is \"tex\"; allowed: text json");
	refuses("T_CHOICE", "", "T_CHOICE is \"\"; allowed: text json");

	masks("", "");
	masks("plain", "***");
	masks("host=x password=y", "***");
	masks("postgresql://u:p@h:5/d", "postgresql://u:***@h:5/d");
	masks("postgresql://u:p@ss/w@h/d", "postgresql://u:***@h/d");
	masks("postgresql://u@h/d", "postgresql://u@h/d");
	masks("postgresql://h/d?password=secret&sslmode=require&sslpassword=x",
	        "postgresql://h/d?password=***&sslmode=require&sslpassword=***");
	masks("amqp://guest:guest@localhost/%2f", "amqp://guest:***@localhost/%2f");

	database_url("postgresql+psycopg2://app:app@localhost:5432/jobs", "postgresql://app:app@localhost:5432/jobs");
	database_url("postgres+asyncpg://h/d", "postgresql://h/d");
	database_url("postgresql://h/d", "postgresql://h/d");
	database_url("host=x dbname=y", "host=x dbname=y");

	setenv("T_URL", "postgresql://u:p@h/d", 1);
	setenv("T_OLD_NUMBER", "7", 1);
	setenv("T_SECONDS", "0.1", 1);
	setenv("T_OTHER", "kept", 1);
	load_text("T_TEXT=from the file\nT_FLAG=yes\n");
	environment = config_environment(items, N, &s);
	is_str(variable(environment, "T_TEXT"), "from the file", "an environment for a child has what the file says");
	is_str(variable(environment, "T_NUMBER"), "7", "numbers");
	is_str(variable(environment, "T_SECONDS"), "0.10000000000000001", "times, exactly");
	is_str(variable(environment, "T_FLAG"), "true", "flags");
	is_str(variable(environment, "T_CHOICE"), "text", "choices");
	is_str(variable(environment, "T_OTHER"), "kept", "and other variables");
	ok(!variable(environment, "T_URL") && !variable(environment, "T_OLD_NUMBER"), "no secrets, no other names");
	config_environment_free(environment);

	f = open_memstream(&text, &size);
	config_help(items, N, f);
	fclose(f);
	ok(strstr(text, "T_NUMBER") && strstr(text, "1 to 100") && strstr(text, "default: 4") &&
	                strstr(text, "T_OLD_NUMBER"),
	        "help names range, default and alias");
	free(text);

	config_free(items, N, &s);
	unlink(path);
	return done_testing();
}
