/** Surrogates without their other half: some databases refuse text that has them. Linear in the text. */
const loneSurrogate = /[\uD800-\uDBFF](?![\uDC00-\uDFFF])|(?<![\uD800-\uDBFF])[\uDC00-\uDFFF]/

export const isWellFormed = (text: string): boolean => !loneSurrogate.test(text)

/** NUL and lone surrogates replaced, so that every database stores it. */
export const storable = (text: string): string =>
  text.replaceAll("\u0000", "\uFFFD").replace(new RegExp(loneSurrogate, "g"), "\uFFFD")
