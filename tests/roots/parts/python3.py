import sys, threading, subprocess, asyncio, ssl, multiprocessing, ctypes, socket, os, signal, time, hashlib, json, zlib, sqlite3, tempfile, platform
def first():
    r=[]
    def w(n):
        s=0
        for i in range(20000): s+=i*n
        r.append(s)
    ts=[threading.Thread(target=w,args=(n,)) for n in range(8)]
    [t.start() for t in ts]; [t.join() for t in ts]; print(sorted(r)[:3])
    print(subprocess.run(["/bin/echo","sub"],capture_output=True,text=True).stdout.strip(), subprocess.run("exit 7",shell=True,executable="/bin/bash").returncode)
    try: subprocess.run(["/nonexistent"])
    except FileNotFoundError as e: print("FNF", e.errno)
    p=subprocess.Popen(["/bin/cat"],stdin=subprocess.PIPE,stdout=subprocess.PIPE); print(p.communicate(b"x"*100000)[0]==b"x"*100000)
    async def main():
        async def h(rd,wr):
            d=await rd.readline(); wr.write(d.upper()); await wr.drain(); wr.close()
        s=await asyncio.start_server(h,'127.0.0.1',0); port=s.sockets[0].getsockname()[1]
        async def c(i):
            rd,wr=await asyncio.open_connection('127.0.0.1',port); wr.write(b"hello %d\n"%i); d=await rd.read(); wr.close(); return d
        print((await asyncio.gather(*[c(i) for i in range(20)]))[19])
        pr=await asyncio.create_subprocess_exec("/bin/sleep","0.01"); print(await pr.wait())
        try: await asyncio.wait_for(asyncio.sleep(10),0.05)
        except asyncio.TimeoutError: print("timeout")
    asyncio.run(main())
def f(x): return x*x
if __name__=='__main__':
    first()
    for m in ("fork","spawn","forkserver"):
        with multiprocessing.get_context(m).Pool(3) as p: print(m, p.map(f,range(10))[-1])
    q=multiprocessing.Queue(); pr=multiprocessing.Process(target=q.put,args=(42,)); pr.start(); print(q.get()); pr.join()
    v=multiprocessing.Value('i',0); l=multiprocessing.Lock()
    from multiprocessing import shared_memory
    sm=shared_memory.SharedMemory(create=True,size=100); sm.buf[0]=5; print(sm.buf[0]); sm.close(); sm.unlink()
    libc=ctypes.CDLL("libc.so.6"); print(libc.strlen(b"abc"))
    CB=ctypes.CFUNCTYPE(ctypes.c_int,ctypes.POINTER(ctypes.c_int),ctypes.POINTER(ctypes.c_int))
    a=(ctypes.c_int*5)(5,1,4,2,3); libc.qsort(a,5,4,CB(lambda x,y:x[0]-y[0])); print(list(a))
    m=ctypes.CDLL("libm.so.6"); m.pow.restype=ctypes.c_double; m.pow.argtypes=[ctypes.c_double]*2; print(m.pow(2,0.5))
    print(hashlib.sha256(b"abc").hexdigest()[:16], hashlib.sha3_256(b"abc").hexdigest()[:16], hashlib.blake2b(b"abc").hexdigest()[:16], hashlib.md5(b'abc').hexdigest()[:8], zlib.crc32(b"hello"*1000))
    print(hashlib.scrypt(b"p",salt=b"s",n=1024,r=8,p=1).hex()[:16], hashlib.pbkdf2_hmac("sha256",b"p",b"s",1000).hex()[:16])
    # ssl over socketpair with self-signed cert
    d=tempfile.mkdtemp(); subprocess.run(["openssl","req","-x509","-newkey","ec","-pkeyopt","ec_paramgen_curve:P-256","-nodes","-keyout",d+"/k","-out",d+"/c","-subj","/CN=localhost","-days","9"],check=True,stderr=subprocess.DEVNULL)
    sc=ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER); sc.load_cert_chain(d+"/c",d+"/k"); cc=ssl.create_default_context(cafile=d+"/c")
    a,b=socket.socketpair()
    def srv():
        s=sc.wrap_socket(a,server_side=True); s.sendall(s.recv(100)[::-1]); s.close()
    t=threading.Thread(target=srv); t.start(); s=cc.wrap_socket(b,server_hostname="localhost"); s.sendall(b"abcdef"); print(s.recv(100), s.version(), s.cipher()[0]); t.join()
    c=sqlite3.connect(":memory:"); c.execute("create table t(a,b)"); c.executemany("insert into t values(?,?)",[(i,i*i) for i in range(1000)]); print(c.execute("select sum(b) from t where a%7=3").fetchone())
    signal.signal(signal.SIGALRM,lambda *a: print("alarm")); signal.setitimer(signal.ITIMER_REAL,0.05); time.sleep(0.2)
    print(open('/proc/self/cmdline','rb').read().split(b'\0')[0:2], os.path.basename(sys.executable))
    print(json.loads(json.dumps({"a":[1,2.5,None]})), 10**50//7, 0.1+0.2, f"{1e22:.3f}", float("1e-310"))
    print(os.cpu_count()>0, os.getloadavg()[0]>=0, socket.gethostbyname("localhost"), os.sysconf("SC_PAGESIZE"))
    import decimal, random, statistics; decimal.getcontext().prec=50; print(decimal.Decimal(2).sqrt()); random.seed(1); print(random.random(), statistics.stdev([random.gauss(0,1) for _ in range(100)]))
    print("done")
