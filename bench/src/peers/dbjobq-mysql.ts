import type { Peer } from "../peer.js"

export const dbjobqMysql: Peer = {
  name: "dbjobq-mysql",
  store: "mysql",
  settings: "defaults",
  finishedRows: "kept",
  durability: "innodb_flush_log_at_trx_commit as the server has it",
  priorities: true,
  retries: true,
  against: "dbjobq-mysql",
  open: async (place) => {
    const [{ layer }, { open }, { mysqlShortcuts }] = await Promise.all([
      import("dbjobq/storage/MysqlStorage"),
      import("../dbjobq.js"),
      import("../dbjobqSql.js")
    ])
    return open(layer({ url: place.url }), mysqlShortcuts)
  }
}
