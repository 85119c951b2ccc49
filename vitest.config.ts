import { fileURLToPath } from "node:url"
import { defineConfig } from "vitest/config"

const src = fileURLToPath(new URL("./src/", import.meta.url))
const json = process.env.DBJOBQ_TEST_JSON

export default defineConfig({
  resolve: {
    alias: [
      { find: /^dbjobq$/, replacement: `${src}index.ts` },
      { find: /^dbjobq\/testing$/, replacement: `${src}testing/index.ts` },
      { find: /^dbjobq\/(.+)$/, replacement: `${src}$1.ts` }
    ]
  },
  test: {
    include: ["test/**/*.test.ts", "examples/**/*.test.ts"],
    testTimeout: 30_000,
    hookTimeout: 60_000,
    pool: "forks",
    poolOptions: { forks: { maxForks: 2 } },
    reporters: json === undefined ? ["default"] : ["default", ["json", { outputFile: json }]]
  }
})
