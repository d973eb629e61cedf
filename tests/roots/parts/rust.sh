# A static program with threads, channels and panics.
cat > a.rs <<'R'
use std::sync::{Arc,Mutex,mpsc}; use std::thread; use std::collections::HashMap; use std::process::Command;
fn main(){
 let m=Arc::new(Mutex::new(0u64)); let hs:Vec<_>=(0..8).map(|i|{let m=m.clone();thread::spawn(move||{for j in 0..2000{*m.lock().unwrap()+=i*j;}})}).collect(); for h in hs{h.join().unwrap();} println!("{}",m.lock().unwrap());
 let (t,r)=mpsc::channel(); for i in 0..4{let t=t.clone();thread::spawn(move||t.send(i*i).unwrap());} drop(t); println!("{}",r.iter().sum::<i32>());
 let mut h=HashMap::new(); for i in 0..10000{*h.entry(i%97).or_insert(0)+=i;} println!("{}",h[&5]);
 println!("{}",String::from_utf8_lossy(&Command::new("/bin/echo").arg("sub").output().unwrap().stdout).trim());
 println!("{:?}",std::panic::catch_unwind(||{panic!("x")}).is_err());
 println!("{:?}", thread::Builder::new().spawn(||{ let v:Vec<i32>=vec![]; v[1] }).unwrap().join().is_err());
}
R
rustc -C linker=gcc -C opt-level=1 -C target-feature=+crt-static a.rs -o a; ./a 2>/dev/null; echo $?
