"""People and animals that robots deal with."""

from __future__ import annotations

from bonsai_edge_train.robot_commands.lexicon.word_list import words

NAMES = words(
    "Anna, Ben, Clara, David, Emma, Felix, Grace, Henry, Ida, Jack, Kate, Leo, Maria, Noah, Olga, Paul, Rosa, Sam, "
    "Tina, Victor, Wendy, Yuki, Ali, Fatima, Carlos, Priya, Chen, Ivan, Sofia, Lucas, Mia, Tom, Lisa, Max, Julia, "
    "James, John, Robert, Michael, William, Sarah, Emily, Jessica, Ashley, Olivia, Ethan, Liam, Mason, Logan, Ava, "
    "Isabella, Charlotte, Amelia, Harper, Ella, Chloe, Zoe, Lily, Hannah, Nora, Ruth, Alice, Martha, Margaret, "
    "Dorothy, Susan, Linda, Barbara, Karen, Nancy, Betty, Peter, Mark, George, Steve, Brian, Kevin, Jason, Eric, "
    "Adam, Alex, Chris, Pat, Jamie, Jordan, Taylor, Hans, Greta, Jürgen, Klaus, Heidi, Pierre, Camille, Amélie, Luc, "
    "Giulia, Marco, Luigi, Francesca, Elena, Pablo, Diego, Lucía, José, Carmen, Juan, Miguel, Pedro, João, Beatriz, "
    "Ines, Lars, Astrid, Bjorn, Freya, Sven, Anders, Mikko, Aino, Katya, Dmitri, Natasha, Boris, Svetlana, Piotr, "
    "Agnieszka, Zofia, Milan, Jana, Andrei, Ioana, Nikos, Eleni, Mehmet, Ayse, Emre, Omar, Layla, Hassan, Amina, "
    "Yusuf, Khalid, Noor, Leila, Reza, Shirin, Aisha, Ibrahim, Raj, Arjun, Anjali, Deepak, Sanjay, Lakshmi, Vikram, "
    "Sunita, Rahul, Kavya, Wei, Mei, Ling, Xiao, Jun, Hiro, Sakura, Kenji, Haruka, Takeshi, Aiko, Min-jun, Ji-woo, "
    "Soo, Hyun, Linh, Nguyen, Thuy, Siti, Budi, Dewi, Maya, Kwame, Ama, Kofi, Chidi, Ngozi, Zainab, Tunde, Thabo, "
    "Amara, Wanjiru, Kamau, Malik, Keisha, Jamal, Aroha, Tane, Moana, Ngaire, Oscar, Theo, Finn, Ivy, Ruby, Poppy, "
    "Hugo, Otto, Nina, Vera, Stella, Bruno, Eva, Simon, Daniel, Rachel, Miriam, Josh, Abby, Billy, Timmy, Jenny, "
    "Molly, Charlie, Buddy, Rex, Bella"
)
SURNAMES = words(
    "Smith, Johnson, Miller, Brown, Garcia, Lee, Kim, Nguyen, Patel, Singh, Khan, Meyer, Schmidt, Rossi, Martin, "
    "Novak, Ivanova, Silva, Santos, Lopez, Tanaka, Sato, Wang, Zhang, Cohen, Andersen, Hansen, Kowalski, O'Brien, "
    "Murphy, Jones, Taylor, Wilson, Clark, Lewis, Walker, Young, Hill, Green, Baker, Adams, Nelson, Carter, Okafor, "
    "Mensah, Diallo"
)
TITLES = words("Dr., Doctor, Mr., Mrs., Ms., Miss, Professor, Nurse, doctor, nurse, mister, Dr, Mr, Mrs")
RELATIVES = words("Aunt, Uncle, Grandma, Grandpa, aunt, uncle")
BARE_PEOPLE = words(
    "mom, dad, mum, grandma, grandpa, mommy, daddy, everyone, everybody, Mom, Dad, Grandma, Grandpa, granny"
)
ROLES = words(
    "nurse, head nurse, doctor, surgeon, visitor, visitors, guest, guests, child, children, kid, kids, teacher, "
    "patient, new patient, operator, technician, lab technician, boss, manager, supervisor, girl, little girl, boy, "
    "little boy, man, old man, woman, old lady, lady, gentleman, dog, cat, puppy, driver, engineer, neighbor, "
    "neighbour, baby, student, students, waiter, waitress, chef, cook, bartender, cashier, customer, client, "
    "receptionist, secretary, assistant, janitor, cleaner, guard, security guard, police officer, mechanic, "
    "electrician, plumber, carpenter, welder, worker, workers, foreman, inspector, pilot, courier, mailman, delivery "
    "guy, delivery man, postman, farmer, gardener, librarian, scientist, researcher, professor, pharmacist, dentist, "
    "therapist, caregiver, paramedic, tourist, tour guide, curator, artist, coach, player, team, crew, family, crowd, "
    "audience, winner, birthday girl, bride, colleague, coworker, intern, trainee, roommate, person in the red shirt, "
    "man in the blue jacket, guy with the hat, lady with the cane, person behind you, other robot, next customer, "
    "person at the door"
)
KIN = words(
    "mom, dad, mother, father, sister, brother, little sister, big brother, wife, husband, son, daughter, grandma, "
    "grandpa, grandmother, grandfather, aunt, uncle, cousin, friend, best friend, girlfriend, boyfriend, partner, "
    "boss, colleague, neighbor, kids, parents, roommate, dog, cat, assistant, teacher, doctor"
)
