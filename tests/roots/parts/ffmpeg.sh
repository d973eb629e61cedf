# Encoding by x264 and FLAC, and filters: the same frames on every CPU (x264 without its own assembly, which another CPU lacks, and
# scaling by the form that is exact).
ffmpeg -hide_banner -loglevel error -f lavfi -i testsrc2=s=160x120:r=10:d=1 -c:v libx264 -preset medium -threads 2 -x264-params threads=2:asm=0 -bitexact -flags +bitexact -fflags +bitexact a.mkv; echo enc $?
ffmpeg -hide_banner -loglevel error -i a.mkv -f framemd5 -bitexact - | grep -v "^#software" | md5sum
ffmpeg -hide_banner -loglevel error -f lavfi -i "sine=f=440:d=1" -c:a flac -bitexact b.flac; md5sum < b.flac
ffmpeg -hide_banner -loglevel error -f lavfi -i testsrc2=s=160x120:r=5:d=1 -vf "scale=100:80:flags=bicubic+bitexact+accurate_rnd+full_chroma_int,hue=s=0" -f framemd5 - | grep -v "^#" | md5sum
