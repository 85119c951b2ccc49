/** Random cron expressions, each with what it means as predicates, so that no parser is needed to check it. */
import * as FastCheck from "effect/FastCheck"
import type { CalendarDate } from "./oracle.js"

export interface Expression {
  readonly text: string
  readonly minute: (value: number) => boolean
  readonly hour: (value: number) => boolean
  readonly date: (date: CalendarDate) => boolean
  readonly seconds: ReadonlyArray<number>
  readonly isInterval: boolean
}

interface Field {
  readonly text: string
  readonly has: (value: number) => boolean
  readonly repeats: boolean
}

const star: Field = { text: "*", has: () => true, repeats: true }

const list = (values: ReadonlyArray<number>): Field => ({
  text: values.join(","),
  has: (value) => values.includes(value),
  repeats: false
})

const lists = (min: number, max: number) =>
  FastCheck.uniqueArray(FastCheck.integer({ min, max }), { minLength: 1, maxLength: 4 }).map(list)

const ranges = (min: number, max: number) =>
  FastCheck.tuple(FastCheck.integer({ min, max }), FastCheck.integer({ min, max })).map(([a, b]): Field => {
    const [low, high] = [Math.min(a, b), Math.max(a, b)]
    return { text: `${low}-${high}`, has: (value) => value >= low && value <= high, repeats: false }
  })

const steps = (min: number, max: number) =>
  FastCheck.tuple(FastCheck.integer({ min: 1, max: 20 }), FastCheck.option(FastCheck.integer({ min, max }))).map(
    ([step, from]): Field => ({
      text: `${from === null ? "*" : from}/${step}`,
      has: (value) => value >= (from ?? min) && (value - (from ?? min)) % step === 0,
      repeats: true
    })
  )

const time = (min: number, max: number) =>
  FastCheck.oneof(
    { weight: 3, arbitrary: lists(min, max) },
    { weight: 1, arbitrary: ranges(min, max) },
    { weight: 1, arbitrary: steps(min, max) },
    { weight: 1, arbitrary: FastCheck.constant(star) }
  )

const monthNames = ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"]
const dayNames = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"]

const months = FastCheck.oneof(
  { weight: 6, arbitrary: FastCheck.constant(star) },
  { weight: 1, arbitrary: lists(1, 12) },
  { weight: 1, arbitrary: ranges(1, 12) },
  {
    weight: 1,
    arbitrary: FastCheck.integer({ min: 1, max: 12 }).map(
      (month): Field => ({ text: monthNames[month - 1] ?? "", has: (value) => value === month, repeats: false })
    )
  }
)

interface DateField {
  readonly text: string
  readonly has: (date: CalendarDate) => boolean
  readonly isFree: boolean
}

const free = (text: string): DateField => ({ text, has: () => true, isFree: true })

const byDay = (field: Field): DateField => ({ text: field.text, has: ({ day }) => field.has(day), isFree: false })

const monthDays = FastCheck.oneof(
  { weight: 6, arbitrary: FastCheck.constantFrom(free("*"), free("?")) },
  { weight: 1, arbitrary: lists(1, 28).map(byDay) },
  { weight: 1, arbitrary: ranges(1, 29).map(byDay) },
  {
    weight: 1,
    arbitrary: FastCheck.constant<DateField>({ text: "L", has: (date) => date.day === date.length, isFree: false })
  }
)

const weekdays = FastCheck.integer({ min: 0, max: 6 }).chain((weekday) =>
  FastCheck.constantFrom<Array<DateField>>(
    { text: `${weekday}`, has: (date) => date.weekday === weekday, isFree: false },
    { text: dayNames[weekday] ?? "", has: (date) => date.weekday === weekday, isFree: false },
    {
      text: `${weekday === 0 ? 7 : weekday}L`,
      has: (date) => date.weekday === weekday && date.day > date.length - 7,
      isFree: false
    },
    { text: `${weekday}#2`, has: (date) => date.weekday === weekday && date.day > 7 && date.day <= 14, isFree: false },
    { text: `${weekday}-6`, has: (date) => date.weekday >= weekday, isFree: false }
  )
)

const weekFields = FastCheck.oneof(
  { weight: 4, arbitrary: FastCheck.constant(free("*")) },
  { weight: 2, arbitrary: weekdays }
)

/** Half of them with the hours near midnight, where clocks are changed. */
const hours = FastCheck.oneof(time(0, 23), lists(0, 4), FastCheck.constant(list([23, 0])))

const secondLists = FastCheck.option(
  FastCheck.uniqueArray(FastCheck.integer({ min: 0, max: 59 }), { minLength: 1, maxLength: 3 })
)

export const arbitrary: FastCheck.Arbitrary<Expression> = FastCheck.tuple(
  secondLists,
  time(0, 59),
  hours,
  monthDays,
  months,
  weekFields
).map(([seconds, minute, hour, monthDay, month, weekday]) => ({
  text: [...(seconds === null ? [] : [seconds.join(",")]), minute, hour, monthDay, month, weekday]
    .map((field) => (typeof field === "string" ? field : field.text))
    .join(" "),
  minute: minute.has,
  hour: hour.has,
  date: (date) =>
    month.has(date.month) &&
    (monthDay.isFree || weekday.isFree
      ? monthDay.has(date) && weekday.has(date)
      : monthDay.has(date) || weekday.has(date)),
  seconds: seconds === null ? [0] : [...seconds].sort((a, b) => a - b),
  isInterval: minute.repeats || hour.repeats
}))
