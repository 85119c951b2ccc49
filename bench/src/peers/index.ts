import type { Peer } from "../peer.js"
import { bullmq } from "./bullmq.js"
import { dbjobqMemory } from "./dbjobq-memory.js"
import { dbjobqMysql } from "./dbjobq-mysql.js"
import { dbjobqPg, dbjobqPgSettle1, dbjobqPgSingle } from "./dbjobq-pg.js"
import { dbjobqRedis } from "./dbjobq-redis.js"
import { dbjobqSqlite, dbjobqSqliteFull } from "./dbjobq-sqlite.js"
import { graphile500, graphile2000, graphileDefault } from "./graphile.js"
import { pgboss } from "./pgboss.js"
import { plainjob, plainjobFull } from "./plainjob.js"
import { rawMysql } from "./raw-mysql.js"
import { rawPg } from "./raw-pg.js"
import { rawRedis } from "./raw-redis.js"
import { rawSqlite } from "./raw-sqlite.js"

export const peers: ReadonlyArray<Peer> = [
  dbjobqPg,
  graphile2000,
  graphile500,
  dbjobqPgSettle1,
  dbjobqPgSingle,
  graphileDefault,
  pgboss,
  rawPg,
  dbjobqSqlite,
  dbjobqSqliteFull,
  plainjob,
  plainjobFull,
  rawSqlite,
  dbjobqMysql,
  rawMysql,
  dbjobqRedis,
  bullmq,
  rawRedis,
  dbjobqMemory
]

export const peerNamed = (name: string): Peer => {
  const found = peers.find((peer) => peer.name === name)
  if (found === undefined) throw new Error(`no peer is called ${name}`)
  return found
}
