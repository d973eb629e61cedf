# A script that the JIT compiles: workers, WebAssembly, HTTP, compression.
cat > a.js <<'J'
const crypto=require('crypto'),fs=require('fs'),{Worker,isMainThread,parentPort}=require('worker_threads'),zlib=require('zlib'),cp=require('child_process'),http=require('http');
function fib(n){return n<2?n:fib(n-1)+fib(n-2)}
console.log(fib(24), crypto.createHash('sha256').update('abc').digest('hex').slice(0,16));
let s=0; for(let i=0;i<3e6;i++){s=(s+i*i)%1000003} console.log(s, Math.sin(1), [3,1,2].sort().join(), 0.1+0.2, /(\w+) (\w+)/.exec('hello world')[2]);
const m=new Map(); for(let i=0;i<1e5;i++)m.set('k'+i%1000,i); console.log(m.size, JSON.stringify({a:[1,{b:2}]}));
console.log(zlib.gunzipSync(zlib.gzipSync('x'.repeat(100000))).length, cp.execSync('echo sub').toString().trim());
const w=new Worker('const {parentPort}=require("worker_threads");let s=0;for(let i=0;i<1e6;i++)s+=i;parentPort.postMessage(s)',{eval:true}); w.on('message',v=>{console.log('worker',v);
const b=new Uint8Array([0,97,115,109,1,0,0,0,1,7,1,96,2,127,127,1,127,3,2,1,0,7,7,1,3,97,100,100,0,0,10,9,1,7,0,32,0,32,1,106,11]);
WebAssembly.instantiate(b).then(r=>{console.log('wasm',r.instance.exports.add(2,3));
const srv=http.createServer((q,r)=>r.end('hi '+q.url)).listen(0,()=>{let n=0;for(let i=0;i<20;i++)http.get({port:srv.address().port,path:'/'+i},r=>{let d='';r.on('data',c=>d+=c);r.on('end',()=>{if(++n==20){console.log('http',d.slice(0,2));srv.close();}})})});
setTimeout(()=>console.log('timer'),50);});});
J
node a.js; echo rc $?
node --jitless -e 'console.log([...Array(5).keys()].map(x=>x**2).join())'
