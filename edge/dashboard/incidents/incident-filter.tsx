import { AGES, type IncidentQuery } from "./incident-search.ts";

type Option = readonly [value: string, label: string];

/** The filter above the incident list. `engines`: ids and names of the engines that the user can select. */
export const IncidentFilter = ({ query, engines }: { query: IncidentQuery; engines: readonly Option[] }) => (
  <search>
    <form class="filter" method="get" action="/incidents" data-filter>
      <div class="field grow">
        <label for="q">Host, employee, engine, rule or text of the explanation</label>
        <input id="q" name="q" type="search" maxlength={200} value={query.q ?? ""} autocomplete="off" />
      </div>
      <Choice
        name="status"
        legend="State"
        value={query.status === "resolved" ? "resolved" : ""}
        options={[
          ["", "Open"],
          ["resolved", "Resolved"],
        ]}
      />
      <Choice
        name="risk"
        legend="Risk"
        value={query.risk ?? ""}
        options={[
          ["", "All"],
          ["CRITICAL", "Critical"],
          ["WARNING", "Warning"],
        ]}
      />
      <Select
        name="answered"
        label="Acknowledged"
        value={query.answered}
        options={[
          ["yes", "Yes"],
          ["no", "No"],
        ]}
      />
      <Select name="engine" label="Engine" value={query.engine} options={engines} />
      <Select
        name="age"
        label="Opened"
        value={query.age}
        options={AGES.map(({ age, name }) => [age, name] as const)}
      />
      {query.hosts !== undefined && (
        <Select
          name="hosts"
          label="Hosts"
          value={query.hosts}
          options={[
            ["expired", "Expired"],
            ["all", "All, including expired"],
          ]}
        />
      )}
      {query.rule !== undefined && (
        <div class="field">
          <label for="rule">Rule</label>
          <input id="rule" name="rule" maxlength={200} value={query.rule} autocomplete="off" />
        </div>
      )}
      <button type="submit">Filter</button>
    </form>
  </search>
);

const Choice = (choice: { name: string; legend: string; value: string; options: readonly Option[] }) => (
  <fieldset class="choice">
    <legend>{choice.legend}</legend>
    {choice.options.map(([value, label]) => (
      <label>
        <input type="radio" name={choice.name} value={value} checked={choice.value === value} />
        <span>{label}</span>
      </label>
    ))}
  </fieldset>
);

const Select = (select: {
  name: string;
  label: string;
  value: string | undefined;
  options: readonly Option[];
}) => (
  <div class="field">
    <label for={select.name}>{select.label}</label>
    <select id={select.name} name={select.name}>
      <option value="">Any</option>
      {select.options.map(([value, label]) => (
        <option value={value} selected={select.value === value}>
          {label}
        </option>
      ))}
    </select>
  </div>
);
