# Test vectors: digests, ciphers, codes, key derivation, and signatures that are made and checked.
printf abc > abc
for h in md5 sha1 sha224 sha256 sha384 sha512 sha512-256 sha3-256 sha3-512 shake128 blake2b512 blake2s256 sm3 ripemd160; do openssl dgst -$h abc 2>/dev/null; done
head -c 100000 /dev/zero > z; K=000102030405060708090a0b0c0d0e0f; I=0f0e0d0c0b0a09080706050403020100
for c in aes-128-cbc aes-128-ctr aes-128-ecb aes-256-cbc aes-256-ctr aes-192-cfb camellia-128-cbc chacha20 sm4-cbc sm4-ctr aria-128-cbc des-ede3-cbc; do case $c in *256*|chacha20) k=$K$K;; *192*|des*) k=${K}${K:0:16};; *) k=$K;; esac; iv=$I; [ $c = des-ede3-cbc ] && iv=${I:0:16}; echo $c $(openssl enc -$c -K $k -iv $iv -in z 2>/dev/null | sha256sum | cut -c1-16); done
openssl dgst -sha256 -mac HMAC -macopt hexkey:aabb abc; openssl dgst -mac poly1305 -macopt hexkey:$K$K abc 2>&1 | tail -1; openssl kdf -keylen 16 -kdfopt digest:SHA256 -kdfopt key:a -kdfopt salt:b HKDF 2>&1
openssl genrsa 2048 2>/dev/null > k.pem; openssl rsa -in k.pem -pubout -out p.pem 2>/dev/null; openssl dgst -sha256 -sign k.pem -out s abc; openssl dgst -sha256 -verify p.pem -signature s abc
for a in ed25519 x25519 x448 ed448; do openssl genpkey -algorithm $a -out $a.pem && echo $a ok; done; openssl pkeyutl -sign -inkey ed25519.pem -rawin -in abc -out es && openssl pkey -in ed25519.pem -pubout -out ep.pem && openssl pkeyutl -verify -pubin -inkey ep.pem -rawin -in abc -sigfile es
openssl ecparam -name prime256v1 -genkey -noout -out ec.pem; openssl dgst -sha512 -sign ec.pem -out s abc && openssl ec -in ec.pem -pubout -out ecp.pem 2>/dev/null && openssl dgst -sha512 -verify ecp.pem -signature s abc
openssl prime 1000000007; openssl list -cipher-algorithms >/dev/null; echo done
