/** Whether a statement may go to the driver at once, past what `@effect/sql` does for each. */
import * as Statement from "@effect/sql/Statement"
import type * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as trace from "../../internal/trace.js"
import { inAny } from "./ownership.js"

/** No transaction, tracer or transformer of the fiber has a say in it. */
export const isPlain = (fiber: Fiber.RuntimeFiber<unknown, unknown>): boolean =>
  !inAny(fiber.currentContext) &&
  !trace.isInstalled(fiber.currentTracer) &&
  Option.isNone(fiber.getFiberRef(Statement.currentTransformer))
