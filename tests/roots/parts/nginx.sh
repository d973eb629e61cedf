# A server with two workers, a proxy and a reload, under load.
mkdir -p html /var/lib/nginx /var/log/nginx
head -c 100000 /dev/zero | tr '\0' x > html/f; echo hello > html/index.html
cat > c.conf <<C
worker_processes 2; daemon on; pid $PWD/pid; error_log $PWD/err; user root;
events { worker_connections 256; }
http { access_log $PWD/acc; client_body_temp_path $PWD/t1; proxy_temp_path $PWD/t2; fastcgi_temp_path $PWD/t3; uwsgi_temp_path $PWD/t4; scgi_temp_path $PWD/t5; sendfile on; gzip on; gzip_types text/plain;
server { listen 127.0.0.1:7080; root $PWD/html; location /p { proxy_pass http://127.0.0.1:7080/; } } }
C
nginx -c $PWD/c.conf; echo start $?
sleep 2
cat > l.py <<'P'
import threading,http.client
ok=[0]*8
def w(n):
    c=http.client.HTTPConnection('127.0.0.1',7080,timeout=60)
    for i in range(40):
        c.request('GET','/f' if i%2 else '/p'); r=c.getresponse(); d=r.read()
        ok[n]+= r.status==200 and len(d)==(100000 if i%2 else 6)
t=[threading.Thread(target=w,args=(n,)) for n in range(8)]; [x.start() for x in t]; [x.join() for x in t]; print(sum(ok))
P
python3 l.py; wc -l < acc; nginx -c $PWD/c.conf -s reload 2>/dev/null; sleep 2; python3 l.py; nginx -c $PWD/c.conf -s quit 2>/dev/null; sleep 2; ls pid 2>&1; grep -v notice err
