/*
 * broker_url.c: RABBITMQ_URL.
 */
#include "broker_url.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int
hex(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* %2F and the like, in place. */
static void
decode(char *text)
{
	char *to = text;

	for (const char *from = text; *from; from++) {
		int high = *from == '%' ? hex(from[1]) : -1, low = high < 0 ? -1 : hex(from[2]);

		if (low >= 0) {
			*to++ = (char) (high * 16 + low);
			from += 2;
		} else {
			*to++ = *from;
		}
	}
	*to = '\0';
}

/* One name=value of the query. */
static int
take_option(struct broker_url *parsed, const char *name, char *value, struct error *err)
{
	const char **into = NULL;

	decode(value);
	if (strcmp(name, "verify") == 0 && strcmp(value, "verify_peer") != 0)
		return error_set(err, "RABBITMQ_URL: verify=%s: only verify_peer is allowed", value);
	if (strcmp(name, "cacertfile") == 0)
		into = &parsed->authorities;
	else if (strcmp(name, "certfile") == 0)
		into = &parsed->certificate;
	else if (strcmp(name, "keyfile") == 0)
		into = &parsed->key;
	if (!into)
		return 0;
	if (!parsed->info.ssl)
		return error_set(err, "RABBITMQ_URL: %s is for amqps:// only", name);
	if (access(value, R_OK) < 0)
		return error_set(err, "RABBITMQ_URL: %s=%s: %s", name, value, strerror(errno));
	*into = value;
	return 0;
}

static int
take_options(struct broker_url *parsed, char *query, struct error *err)
{
	char *state = NULL;

	for (char *option = strtok_r(query, "&", &state); option; option = strtok_r(NULL, "&", &state)) {
		char *value = strchr(option, '=');

		if (!value)
			continue;
		*value++ = '\0';
		if (take_option(parsed, option, value, err) < 0)
			return -1;
	}
	if (!parsed->certificate != !parsed->key)
		return error_set(err, "RABBITMQ_URL: certfile and keyfile are needed together");
	return 0;
}

int
broker_url_parse(const char *url, struct broker_url *parsed, struct error *err)
{
	static char root[] = "/";
	char *query;

	memset(parsed, 0, sizeof(*parsed));
	parsed->text = strdup(url);
	if (!parsed->text)
		return error_set(err, "out of memory");
	query = strchr(parsed->text, '?');
	if (query)
		*query++ = '\0';
	if (amqp_parse_url(parsed->text, &parsed->info) != AMQP_STATUS_OK)
		return error_set(err, "RABBITMQ_URL: not of the form amqp://user:password@host:port/vhost");
	if (!parsed->info.vhost[0])
		parsed->info.vhost = root;
	return query ? take_options(parsed, query, err) : 0;
}

void
broker_url_free(struct broker_url *parsed)
{
	free(parsed->text);
	parsed->text = NULL;
}

const char *
broker_url_authorities(const struct broker_url *url)
{
	const char *file = url->authorities ? url->authorities : getenv("SSL_CERT_FILE");

	return file ? file : "/etc/ssl/certs/ca-certificates.crt";
}
