// Numbers in words. Shares and probabilities are of 1.

export function percent(share) { // no probability is rounded to a certainty
  if (share >= 0.9995) return ">99.9 %";
  if (share > 0.9905) return `${(100 * share).toFixed(1)} %`;
  return `${share < 0.0995 ? Number((100 * share).toPrecision(2)) : Math.round(100 * share)} %`;
}

export const called = (at) => `${Number((100 * at).toPrecision(6))} %`; // a probability as it was typed
export const among = (prior) => `one pair in ${Number((1 / prior).toPrecision(4))} is genuine`;
export const brief = (number) => Number(number.toPrecision(3)).toString();
