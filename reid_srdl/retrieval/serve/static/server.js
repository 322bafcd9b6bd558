// The server, and what it says where something is wrong: whatever is thrown here has `error` and `hint`, unless the page broke it off itself.

export async function ask(where, options) {
  let answer;
  try {
    answer = await fetch(where, { credentials: "same-origin", ...options });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw { error: "The server does not answer.", hint: "Is it still running?" };
  }
  let values;
  try {
    values = await answer.json();
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw { error: answer.ok ? "The server's answer broke off." : `The server answered ${answer.status}.`, hint: "Is it still running?" };
  }
  if (!answer.ok) throw { ...values, error: sentence(values.error) };
  return values;
}

export const sentence = (words) => words[0].toUpperCase() + words.slice(1);
