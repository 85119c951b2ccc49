/** A layer whose options come from the application's configuration. */
import * as Config from "effect/Config"
import * as ConfigError from "effect/ConfigError"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { InvalidOption } from "../JobError.js"

/** A value that the options' rules refuse is an error of the configuration, at the option's name. */
export const make = <Options, ROut, E>(
  config: Config.Config.Wrap<Options>,
  layer: (options: Options) => Layer.Layer<ROut, E>
): Layer.Layer<ROut, E | ConfigError.ConfigError> =>
  Layer.unwrapEffect(
    Effect.flatMap(Config.unwrap(config), (options) =>
      Effect.catchAllDefect(
        Effect.sync(() => layer(options)),
        (defect) =>
          defect instanceof InvalidOption
            ? Effect.fail(ConfigError.InvalidData([defect.field], defect.rule))
            : Effect.die(defect)
      )
    )
  )
