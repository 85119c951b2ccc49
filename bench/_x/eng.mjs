import { Job, JobQueue, JobStorage, Worker } from "/work/main/dist/index.js"
import { Effect, Layer, Schema, Stream } from "effect"
import inspector from "node:inspector"; import fs from "node:fs"
const Noop = Job.make("Noop", { payload: { n: Schema.Number } })
const live = Noop.toLayer(() => Effect.void)
const n = Number(process.env.N ?? 20000)
let at = 0
const claim = ({limit}) => Effect.sync(()=>{ const rows=[]; while(rows.length<limit && at<n){ rows.push({id:"id"+at,name:"Noop",queue:"default",priority:0,payload:`{"n":${at}}`,runAt:0,attempt:1,maxAttempts:4,token:1,traceparent:null,scheduleId:null,slot:null,enqueuedAt:0}); at++ } return rows })
let done=0
const storage = new Proxy({ capabilities:{storage:"fake",transactional:false,wakeups:"none",storeClock:false,durable:true,limits:{payloadBytes:Infinity,resultBytes:Infinity,atomicInsert:Infinity}}, claim, promote:()=>Effect.succeed({promoted:0,nextIn:undefined}), settle:(o)=>Effect.sync(()=>{done+=o.length; return o.map(()=>true)}).pipe(Effect.zipLeft(Effect.yieldNow())), renew:(h)=>Effect.succeed(h.map(()=>"held")), sweep:()=>Effect.succeed({rescued:0,ended:0,removed:0}), wakeups:Stream.never, dueSchedules:()=>Effect.succeed({now:0,due:[],nextIn:undefined}), putSchedules:()=>Effect.succeed([]) },{})
const program = Effect.gen(function*(){
  const sess=new inspector.Session(); if(process.env.PROF){sess.connect(); sess.post("Profiler.enable"); sess.post("Profiler.setSamplingInterval",{interval:200}); sess.post("Profiler.start")}
  const c0=process.cpuUsage(); const t0=performance.now()
  const worker = yield* Worker.make([Noop],{concurrency:10}).pipe(Effect.provide(live))
  yield* worker.awaitIdle
  const c=process.cpuUsage(c0); const t=performance.now()-t0
  if(process.env.PROF) sess.post("Profiler.stop",(e,r)=>fs.writeFileSync(process.env.PROF,JSON.stringify(r.profile)))
  console.log(JSON.stringify({n, done, ms: Math.round(t), us: +((c.user+c.system)/n).toFixed(1)}))
}).pipe(Effect.scoped, Effect.provideService(JobStorage.JobStorage, storage))
Effect.runPromise(program)
