# bash, coreutils, findutils, tar, compressors, perl.
seq 1 20000 | sort -R --random-source=/dev/zero | sort -n | sha256sum
seq 1 1000 | awk '{s+=$1} END{print s}'
for i in $(seq 1 50); do echo file $i > f$i; done
find . -type f -name 'f*' | sort | xargs cat | md5sum
find . -newer f1 -name f50 -exec echo found {} \;
tar cf x.tar f*; tar tf x.tar | wc -l; mkdir y; tar xf x.tar -C y; diff -r y <(true) 2>/dev/null; ls y | wc -l
head -c 3000000 /dev/zero | xz -T2 | xz -d | md5sum
seq 1 200000 | xz -9e | xz -dc | md5sum
seq 1 200000 | gzip | zcat | md5sum
seq 1 200000 | zstd -q | zstd -dq | md5sum
seq 1 20000 | bzip2 | bzcat | md5sum
ln -s f1 l1; readlink -f l1; stat -c '%s %a %F' f1 l1; chmod 4751 f1; stat -c %a f1; touch -d '2001-02-03 04:05:06 UTC' f2; TZ=UTC stat -c %y f2
dd if=/dev/zero of=big bs=1M count=4 status=none; truncate -s 10M big; du --apparent-size -k big; cp --sparse=always big big2; cmp big big2 && echo same
printf '%s\n' {a..e} | tac | paste -sd,; factor 1234567890123456789; date -u -d @1e9 +%F; 
timeout 1 sleep 5; echo rc $?; (sleep 0.1 & wait; echo waited); kill -l TERM; trap 'echo trapped' USR1; kill -USR1 $$; 
mkfifo p; (echo hi > p &) ; cat p; nproc > /dev/null; df . > /dev/null && echo df; id -un; env -i A=1 env; split -n 3 x.tar s.; cat s.* | cmp - x.tar && echo split
sed -n '2,3p' f1 f2 f3; grep -c file f*|head -3 ; diff f1 f2; ls -la | wc -l; sync; echo $(($(nice -n 5 nice) - $(nice))); setsid echo setsid; stdbuf -oL echo stdbuf
exec 3<>/dev/tcp/127.0.0.1/1 2>/dev/null || echo noconn; echo ${BASH_VERSINFO[0]}; coproc cat; echo co >&${COPROC[1]}; read x <&${COPROC[0]}; echo $x; kill $COPROC_PID
perl -e 'my %h; $h{$_%7}+=$_ for 1..10000; print join(",",map{"$_=$h{$_}"} sort keys %h),"\n"; print "fork ", (fork()? (wait,$?)[1] : exit 3)>>8,"\n"; printf "%.15g\n", sqrt(2); $_="hello world"; s/(\w+)/\u$1/g; print "$_\n"; open my $f,"-|","echo piped"; print <$f>; print pack("N",1)eq"\0\0\0\1"?"ok\n":"no\n"; local $SIG{ALRM}=sub{print "alarm\n"}; alarm 1; select(undef,undef,undef,3);'
perl -MDigest::SHA -MList::Util=sum -MPOSIX -e 'print Digest::SHA::sha512_hex("abc"),"\n", sum(1..100),"\n", POSIX::floor(-1.5),"\n"; use threads; my @t=map{threads->create(sub{$_[0]**2},$_)}1..4; print join(",",map{$_->join}@t),"\n"'
