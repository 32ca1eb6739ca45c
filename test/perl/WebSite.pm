# WebSite.pm: an nginx of a test's own, on free ports of this machine's loopback addresses, with pages that test a crawler.
#
#	my $site = WebSite->new("$dir/web");
#	$site->file('a.txt', 'text');             # http://127.0.0.3:PORT/a.txt
#	$site->url('/a.txt');                     # that URL; url('/a.txt', 'tls') and so on: of another server, see nginx_conf
#	$site->requests;                          # "ADDRESS SERVER METHOD URI" of every request so far
#
# It listens on 127.0.0.1 .. 127.0.0.3: a test lets a worker visit the last one, and the others stand for the inside.
package WebSite;

use strict;
use warnings;

use Carp qw(croak);
use Compress::Zlib ();
use File::Path qw(make_path);
use IO::Socket::INET;
use POSIX ();
use Time::HiRes qw(sleep time);

my @names = qw(main broken missing circular inside closing tls);

sub new
{
	my ($class, $dir) = @_;
	my $self = bless { dir => $dir, owner => $$ }, $class;
	make_path("$dir/www", map { "$dir/tmp$_" } 1 .. 5);

	# All at once, so that they differ.
	my @sockets = map { IO::Socket::INET->new(Listen => 1, LocalAddr => '127.0.0.3') || croak "no free port: $!" } @names;
	@{ $self->{port} }{@names} = map { $_->sockport } @sockets;
	close $_ for @sockets;
	$self->pages;
	$self->write("$dir/nginx.conf", $self->nginx_conf);
	system("openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=test -addext subjectAltName=IP:127.0.0.3"
		. " -keyout $dir/key.pem -out $dir/cert.pem >$dir/openssl.log 2>&1") == 0 or croak 'openssl: ' . $self->slurp('openssl.log');
	$self->start;
	return $self;
}

sub start
{
	my ($self) = @_;
	my $deadline = time + 20;
	$self->{pid} = fork // croak "fork: $!";
	if (!$self->{pid})
	{
		open STDOUT, '>>', "$self->{dir}/nginx.out";
		open STDERR, '>&', \*STDOUT;
		exec '/usr/sbin/nginx', '-p', $self->{dir}, '-c', "$self->{dir}/nginx.conf", '-e', "$self->{dir}/error.log" or POSIX::_exit(127);
	}
	until (IO::Socket::INET->new(PeerAddr => '127.0.0.3', PeerPort => $self->{port}{main}))
	{
		croak "nginx does not start: " . $self->slurp('nginx.out') . $self->slurp('error.log') if time > $deadline || waitpid($self->{pid}, POSIX::WNOHANG()) != 0;
		sleep 0.05;
	}
	return;
}

sub write
{
	my ($self, $path, $text) = @_;
	open my $file, '>:raw', $path or croak "$path: $!";
	print {$file} $text;
	close $file or croak "$path: $!";
	return;
}

sub slurp
{
	my ($self, $name) = @_;
	open my $file, '<:raw', "$self->{dir}/$name" or return '';
	local $/ = undef;
	return scalar(<$file>) // '';
}

sub file { my ($self, $name, $text) = @_; return $self->write("$self->{dir}/www/$name", $text) }
sub port { my ($self, $server) = @_; return $self->{port}{ $server // 'main' } }
sub certificate { return "$_[0]{dir}/cert.pem" }
sub requests { my ($self) = @_; return split /\n/, $self->slurp('access.log') }

sub url
{
	my ($self, $path, $server) = @_;
	return sprintf '%s://127.0.0.3:%d%s', ($server // '') eq 'tls' ? 'https' : 'http', $self->port($server), $path;
}

sub pages
{
	my ($self) = @_;
	my $www = "$self->{dir}/www";
	$self->file('robots.txt', "User-agent: *\nDisallow: /\n\nUser-agent: jobsched\nDisallow: /private\nAllow: /private/open\nDisallow: /*.secret\$\n");
	$self->file('page.html', "<!DOCTYPE html><html><head><meta charset=utf-8><title>A  \xC3\xA4 &amp; \xFF</title><style>p { color: red }</style></head>"
		. "<body><h1>Hello</h1><p>w<b>or</b>ld<script>no()</script></body></html>");
	$self->file('cyrillic.html', "<meta http-equiv=content-type content='text/html; charset=windows-1251'><title>\xEF\xF0\xE8</title>\xE2\xE5\xF2");
	$self->file('latin.txt', "caf\xE9 \x80");
	$self->file('data.json', '{"a": [1, 2]}');
	$self->file('image.png', "\x89PNG\r\n");
	$self->file('long.txt', join ' ', 1 .. 20000);
	$self->file('bomb.gz', Compress::Zlib::memGzip("\0" x 20_000_000));
	$self->file('bomb2.gz', Compress::Zlib::memGzip(Compress::Zlib::memGzip("\0" x 20_000_000)));
	$self->file('endless.txt', '');
	truncate "$www/endless.txt", 1 << 36 or croak "truncate: $!";
	return;
}

sub nginx_conf
{
	my ($self) = @_;
	my ($dir, %port) = ($self->{dir}, %{ $self->{port} });
	my $later = POSIX::strftime('%a, %d %b %Y %H:%M:%S GMT', gmtime(time + 300));
	my $listen = join ' ', map { "listen $_:$port{main};" } '127.0.0.1', '127.0.0.2', '127.0.0.3';
	return <<"END";
load_module /usr/lib/nginx/modules/ngx_http_echo_module.so;
daemon off;
worker_processes 1;
pid $dir/nginx.pid;
events { worker_connections 500; }
http {
	client_body_temp_path $dir/tmp1; proxy_temp_path $dir/tmp2; fastcgi_temp_path $dir/tmp3; uwsgi_temp_path $dir/tmp4; scgi_temp_path $dir/tmp5;
	types { text/html html; text/plain txt; application/json json; image/png png; application/gzip gz; }
	log_format short '\$server_addr \$server_name \$request_method \$request_uri';
	access_log $dir/access.log short;
	root $dir/www;
	absolute_redirect off;
	gzip on; gzip_min_length 100; gzip_types text/plain;
	server {
		server_name main;
		$listen
		location = /latin.txt { charset windows-1252; charset_types text/plain; }
		location = /to { return 302 \$args; }
		location = /moved { return 301 /page.html; }
		location = /loop { return 302 /loop; }
		location ~ ^/hop/0 { return 302 /page.html; }
		location ~ ^/hop/(?<left>[1-9]*)[1-9]\$ { return 307 /hop/\$left; }
		location = /hop/ { return 302 /hop/0; }
		location = /bomb { types { } default_type text/plain; gzip off; add_header Content-Encoding gzip; alias $dir/www/bomb.gz; }
		location = /bomb2 { types { } default_type text/plain; gzip off; add_header Content-Encoding 'gzip, gzip'; alias $dir/www/bomb2.gz; }
		location = /endless.txt { gzip off; }
		location = /drip { gzip off; limit_rate 5; alias $dir/www/long.txt; default_type text/plain; }
		location = /silent { echo_sleep 60; echo x; }
		location = /gone { return 410 'It is gone.'; }
		location = /teapot { default_type application/json; return 418 '{"error": "I am a teapot"}'; }
		location = /slow-down { add_header Retry-After 77 always; return 429; }
		location = /down { add_header Retry-After '$later' always; return 503; }
		location = /oops { return 500; }
		location = /echo {
			default_type application/json;
			echo_read_request_body;
			echo_duplicate 1 '{"method": "\$request_method", "args": "\$args", "type": "\$content_type", "key": "\$http_idempotency_key", "agent": "\$http_user_agent", "x": "\$http_x_test", "auth": "\$http_authorization", "body": ';
			echo_request_body;
			echo_duplicate 1 '}';
		}
		location = /no-body { return 204; }
		location = /binary { types { } default_type application/octet-stream; alias $dir/www/image.png; }
	}
	server { server_name broken; listen 127.0.0.3:$port{broken}; location / { add_header Retry-After 55 always; return 503; } }
	server { server_name missing; listen 127.0.0.3:$port{missing}; location = /robots.txt { return 404; } }
	server { server_name circular; listen 127.0.0.3:$port{circular}; location = /robots.txt { return 302 /robots.txt; } }
	server { server_name inside; listen 127.0.0.3:$port{inside}; location = /robots.txt { return 302 http://127.0.0.1:$port{main}/page.html; } }
	server { server_name closing; listen 127.0.0.3:$port{closing}; location / { return 444; } }
	server { server_name tls; listen 127.0.0.3:$port{tls} ssl; ssl_certificate $dir/cert.pem; ssl_certificate_key $dir/key.pem; location = /robots.txt { return 404; } }
}
END
}

sub stop
{
	my ($self) = @_;
	return if $self->{owner} != $$ || !$self->{pid};
	local $?;
	kill 'TERM', $self->{pid};
	waitpid $self->{pid}, 0;
	$self->{pid} = 0;
	return;
}

sub DESTROY { my ($self) = @_; $self->stop; return }

1;
