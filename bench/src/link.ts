/** Makes `import "dbjobq"` mean the built package one folder up, as an installed package would be found. */
import { lstatSync, mkdirSync, rmSync, symlinkSync } from "node:fs"
import { dirname } from "node:path"
import { fileURLToPath } from "node:url"

const link = fileURLToPath(new URL("../node_modules/dbjobq", import.meta.url))

mkdirSync(dirname(link), { recursive: true })
if (lstatSync(link, { throwIfNoEntry: false }) !== undefined) rmSync(link)
symlinkSync("../..", link, "dir")
