# A static program with many goroutines, signals, timers and a nil pointer.
export GOCACHE=$PWD/cache GOTOOLCHAIN=local CGO_ENABLED=0 GOFLAGS=-mod=mod
cat > go.mod <<'G'
module x
go 1.21
G
cat > a.go <<'G'
package main
import ("crypto/sha256";"fmt";"os";"os/exec";"os/signal";"runtime";"sync";"sync/atomic";"syscall";"time")
func main(){
 var wg sync.WaitGroup; var n int64; ch:=make(chan int,10)
 for i:=0;i<200;i++ { wg.Add(1); go func(i int){ defer wg.Done(); s:=0; for j:=0;j<20000;j++{ s+=j*i; if j%5000==0 {runtime.Gosched()} }; atomic.AddInt64(&n,int64(s)); if i<10 {ch<-i} }(i) }
 wg.Wait(); close(ch); t:=0; for v:=range ch {t+=v}; fmt.Println(n,t)
 fmt.Printf("%x\n",sha256.Sum256([]byte("abc")))
 out,_:=exec.Command("/bin/echo","sub").Output(); fmt.Print(string(out))
 c:=make(chan os.Signal,1); signal.Notify(c,syscall.SIGUSR1); syscall.Kill(os.Getpid(),syscall.SIGUSR1); fmt.Println(<-c)
 select{case <-time.After(20*time.Millisecond): fmt.Println("timer")}
 for i:=0;i<30;i++{ b:=make([][]byte,0); for k:=0;k<200;k++{b=append(b,make([]byte,10000))}; _=b }; runtime.GC()
 func(){ defer func(){fmt.Println(recover())}(); var p *int; *p=1 }()
 done:=make(chan bool); go func(){ for {} }(); go func(){ time.Sleep(30*time.Millisecond); done<-true }(); <-done; fmt.Println("preempted")
}
G
go build -o a a.go && ./a
