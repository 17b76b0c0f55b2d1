import { fuzzIoctls } from './fuzz-ioctl.ts';
const n=Number(process.argv[3]??2000);
for (let s=Number(process.argv[2]??1); s<Number(process.argv[2])+Number(process.argv[4]??1); s++){
const t=performance.now();
try{
const r=fuzzIoctls(s, n);
console.log(s, JSON.stringify(r), Math.round(n/((performance.now()-t)/1000))+'/s');
}catch(e){ const l=String((e as Error).stack).split('\n'); console.log(s, l.map(x=>x.slice(0,300)).slice(0,8).join('\n')); 
 if(l.length>2 && l[1]!.startsWith('{')){ const a=l[1]!,b=l[2]!; let i=0; while(a[i]===b[i])i++; console.log('DIFF', a.slice(Math.max(0,i-200),i+200),'\n----', b.slice(Math.max(0,i-200),i+200)); } }
}
