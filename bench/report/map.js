// Reads the map for a reader's data, as `map_table.look_up` does.
{
  const { lines, pair } = JSON.parse(document.querySelector("#map-data").textContent);
  const form = document.querySelector("#lookup");
  const points = lines.map(([engine, imbalance, sigma, groups, information, model, fits, rate]) => ({ engine, imbalance, sigma, groups, information, model, fits, rate }));
  const two = (value) => {
    const text = value.toPrecision(2);
    return text.includes("e") ? Number(text).toLocaleString("en") : text;
  };
  const three = (value) => Number(value.toPrecision(3)).toLocaleString("en", { maximumFractionDigits: 9 });
  const values = (some, name) => [...new Set(some.map((point) => point[name]))].sort((a, b) => a - b);
  const nearest = (some, wanted) => some.reduce((best, each) => (Math.abs(Math.log(each / wanted)) < Math.abs(Math.log(best / wanted)) ? each : best));
  const listed = (parts) => (parts.length < 2 ? parts.join("") : `${parts.slice(0, -1).join(", ")} and ${parts.at(-1)}`);

  const read = (engine, { information, groups, imbalance, sigma }) => {
    let own = points.filter((point) => point.engine === engine);
    for (const [name, wanted] of Object.entries({ imbalance, sigma })) {
      const level = nearest(values(own, name), wanted);
      own = own.filter((point) => point[name] === level);
    }
    const known = values(own, "groups");
    const at = nearest(known, groups);
    own = own.filter((point) => point.groups === at);
    const along = values(own, "information");
    const low = along.findLast((each) => each <= information) ?? along[0];
    const high = along.find((each) => each >= information) ?? along.at(-1);
    const share = low < high ? Math.min(1, Math.max(0, Math.log(information / low) / Math.log(high / low))) : 0;
    const sides = [low, high].map((each) => new Map(own.filter((point) => point.information === each && point.rate > 0).map((point) => [point.model, point.rate])));
    const rates = new Map([...sides[share > 0.5 ? 1 : 0]].map(([model, rate]) => [model, sides.every((side) => side.has(model)) ? sides[0].get(model) ** (1 - share) * sides[1].get(model) ** share : rate]));
    const fits = own.filter((point) => point.information === low || point.information === high).reduce((sum, point) => sum + point.fits, 0);
    const ends = [["a number of groups", groups, known], ["an information", information, along]];
    const beyond = ends.filter(([, value, some]) => value < some[0] * 0.999 || value > some.at(-1) * 1.001).map(([what, value]) => `${what} of ${three(value)}`);

    const [a, b] = pair;
    const [mine, theirs] = [rates.get(a) ?? 0, rates.get(b) ?? 0];
    const most = Math.max(mine, theirs);
    const least = Math.min(mine, theirs);
    const [winner, other] = mine >= theirs ? [a, b] : [b, a];
    let said;
    if (!most) said = `neither ${a} nor ${b} was healthy`;
    else if (!least) said = `${winner} wins; ${other} was not healthy`;
    else if (most / least < 1.1) said = `${a} and ${b} are as good`;
    else said = `${winner} wins, about ${two(most / least)} times the rate of ${other}`;
    const best = [...rates].reduce((first, each) => (each[1] > first[1] ? each : first), ["", 0]);
    if (best[0] && !pair.includes(best[0])) {
      const first = most ? `, about ${two(best[1] / most)} times as fast` : "";
      said += best[1] < 1.1 * most ? `; ${best[0]} is as good` : `; of all forms ${best[0]} is first${first}`;
    }
    const near = listed([...new Set([three(low), three(high)])]);
    return `${said}; measured on ${fits.toLocaleString("en")} fits at n omega²/sigma² = ${near} and ${at.toLocaleString("en")} groups${beyond.length ? `; the map ends before ${listed(beyond)}: this is its nearest edge` : ""}`;
  };

  const tell = () => {
    const [groups, size, imbalance, sigma, omega] = ["groups", "size", "imbalance", "sigma", "omega"].map((name) => Number(form.elements[name].value));
    const information = (size * omega ** 2) / sigma ** 2;
    const out = form.querySelector("output");
    if (!(groups >= 2 && size >= 1 && imbalance >= 1 && sigma > 0 && omega > 0 && Number.isFinite(information))) {
      out.textContent = "Type numbers above 0, and two groups or more.";
      return;
    }
    const asked = { groups, imbalance, information, sigma };
    const engines = [...new Set(points.map((point) => point.engine))];
    const answers = engines.map((engine) => `By ${engine}: ${read(engine, asked)}.`);
    out.replaceChildren(...[`n omega²/sigma² is ${three(information)}.`, ...answers].map((words) => Object.assign(document.createElement("div"), { textContent: words })));
  };
  form.hidden = false;
  form.addEventListener("input", tell);
  form.addEventListener("submit", (event) => event.preventDefault());
  tell();
}
