# A server under its benchmark, which writes its files in the background.
redis-server --port ${PORT:-7001} --save '' --appendonly yes --dir $PWD --io-threads 2 > log 2>&1 &
for i in $(seq 100); do redis-cli -p ${PORT:-7001} ping 2>/dev/null | grep -q PONG && break; sleep 0.3; done
redis-cli -p ${PORT:-7001} set a 1; redis-cli -p ${PORT:-7001} incr a; redis-cli -p ${PORT:-7001} eval 'return redis.call("get","a")..ARGV[1]' 0 x; 
redis-benchmark -p ${PORT:-7001} -n 2000 -c 20 -q -t set,get,lpush,zadd,mset | tr '\r' '\n' | grep 'requests per second' | sed 's/:.*//' 
redis-cli -p ${PORT:-7001} bgsave; sleep 2; redis-cli -p ${PORT:-7001} bgrewriteaof; sleep 2; redis-cli -p ${PORT:-7001} dbsize > /dev/null; redis-cli -p ${PORT:-7001} lastsave > /dev/null; ls *.rdb;  redis-cli -p ${PORT:-7001} info server | grep -c redis_version;  redis-cli -p ${PORT:-7001} shutdown nosave; wait; echo rc $?; grep -i "crash\|error\|fail" log | grep -v overcommit
