"""What each peer is told, as text: printed with the results, so that nobody needs to guess."""

ORIGIN = """\
  server {{ listen 127.0.0.1:{port}; root {root}/objects; sendfile on; keepalive_requests 100000000;
    add_header Cache-Control "public, max-age=86400";
    location /content/title {{ rewrite ^ {folder}1024.bin break; }}
    location /content/cold/ {{ rewrite ^ {folder}1048576.bin break; }} }}
"""
NGINX_CACHE = """\
  proxy_cache_path {root}/{name} levels=1:2 keys_zone=c:64m max_size=4g use_temp_path=off;
  log_format j escape=json '{{"time":"$msec","id":"$request_id","client":"$remote_addr","method":"$request_method",'
    '"target":"/$rest","status":$status,"bytes":$body_bytes_sent,"seconds":$request_time,"cache":"$upstream_cache_status"}}';
  upstream o {{ server 127.0.0.1:{origin}; keepalive 16; }}
  server {{
    listen 127.0.0.1:{port} backlog=2048{listen}; sendfile on; tcp_nopush {nopush}; keepalive_requests 100000000;
    open_file_cache max=10000 inactive=60s;{more}
    access_log {root}/{name}.access j buffer=64k flush=1s;
    location ~ ^/t/(?<digest>[^/]+)/(?<end>[0-9]+)/(?<rest>.*)$ {{
      secure_link $digest,$end;
      secure_link_md5 "{secret} $secure_link_expires";
      if ($secure_link = "") {{ return 403; }}
      if ($secure_link = "0") {{ return 403; }}
      proxy_http_version 1.1; proxy_set_header Connection "";
      proxy_cache c; proxy_cache_key $rest$is_args$args; proxy_cache_lock on;
      add_header X-Request-ID $request_id; add_header X-Cache $upstream_cache_status;
      proxy_pass http://o/$rest$is_args$args;
    }}
  }}
"""
NGINX_TLS = """
    ssl_certificate {cert}; ssl_certificate_key {key};
    ssl_protocols TLSv1.3; ssl_conf_command Ciphersuites TLS_AES_256_GCM_SHA384;"""
NGINX_THREADS = """
    aio threads;"""
NGINX = """\
{user}daemon off; worker_processes {workers}; pid {root}/{name}.pid; error_log {root}/{name}.log;
events {{ worker_connections 4096; }}
http {{ access_log off; client_body_temp_path {root}/tmp; proxy_temp_path {root}/tmp; fastcgi_temp_path {root}/tmp;
  uwsgi_temp_path {root}/tmp; scgi_temp_path {root}/tmp;
{servers}}}
"""
VARNISH = """\
vcl 4.1;
backend default {{ .host = "127.0.0.1"; .port = "{origin}"; }}
sub vcl_recv {{ unset req.http.Cookie; return (hash); }}
"""
VARNISH_OPTIONS = ("-s", "malloc,1G", "-p", "thread_pools=1", "-p", "thread_pool_max=1500", "-j", "none", "-T", "none")
EDGE = """\
listen = "127.0.0.1:{port}"
origin = "http://127.0.0.1:{origin}"
access = "token"
authority = "bench"
keys_dir = "{root}/keys"
access_log = "{root}/{name}.access"
fast_lane = {lane}
workers = {workers}
{more}store = {{ cache_dir = "{root}/{name}", disk = "4GiB", memory = "256MiB" }}
"""
EDGE_TLS = """\
tls = [{{ cert = "{cert}", key = "{key}" }}]
"""
